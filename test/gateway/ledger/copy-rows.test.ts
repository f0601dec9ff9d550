import fc from 'fast-check';
import pg from 'pg';
import { describe, expect, it, onTestFinished } from 'vitest';
import { copyRows, copyText } from '../../../src/gateway/ledger/copy-rows.ts';
import { ledgerDatabase } from './kit.ts';

const COLUMNS = {
  id: 'integer',
  name: 'text',
  parts: 'text[]',
  data: 'jsonb',
  amount: 'bigint',
  is_on: 'boolean',
} as const;

/** Anything that the journal can hold: no zero characters, no halves of pairs. */
const texts = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
  fc.constantFrom('', '\\N', '\\.', '\\', 'NULL', '{}', '"', '\t', '\n', '\r\n', '\\t', '\u0007\b\v\f', '{"a":1}'),
);

async function table() {
  const { connection } = await ledgerDatabase();
  const client = new pg.Client({ ...connection, query_timeout: 20_000 });
  await client.connect();
  onTestFinished(() => client.end());
  const typed = Object.entries(COLUMNS).map(([name, type]) => `${name} ${type}${name === 'id' ? ' PRIMARY KEY' : ''}`);
  await client.query(`CREATE TEMPORARY TABLE things (${typed.join(', ')})`);
  return client;
}

function thing(id: number, given: Partial<Record<keyof typeof COLUMNS, unknown>> = {}) {
  return { id, name: null, parts: null, data: null, amount: null, is_on: null, ...given };
}

describe('rows that are copied', () => {
  it('arrive as they were, whatever texts they hold', async () => {
    const client = await table();
    const things = fc.array(
      fc.record({
        name: fc.option(texts),
        parts: fc.option(fc.array(texts, { maxLength: 4 })),
        data: fc.option(fc.dictionary(texts, fc.oneof(texts, fc.integer(), fc.constant(null)), { maxKeys: 4 })),
        amount: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
        is_on: fc.option(fc.boolean()),
      }),
      { maxLength: 20 },
    );
    await fc.assert(
      fc.asyncProperty(things, async (given) => {
        const rows = given.map((one, id) => thing(id, one));
        await client.query('TRUNCATE things');
        await copyRows(client, 'things', COLUMNS, copyText(COLUMNS, rows));
        expect((await client.query('SELECT * FROM things ORDER BY id')).rows).toEqual(rows);
      }),
      { numRuns: 100 },
    );
  });

  it('fail as a whole where one is there already, and the connection serves on', async () => {
    const client = await table();
    await copyRows(client, 'things', COLUMNS, copyText(COLUMNS, [thing(1)]));
    const many = copyText(
      COLUMNS,
      Array.from({ length: 5_000 }, (_, index) => thing(5_000 - index)),
    );
    await expect(copyRows(client, 'things', COLUMNS, many)).rejects.toThrow('duplicate key');
    expect((await client.query('SELECT count(*)::int AS count FROM things')).rows).toEqual([{ count: 1 }]);
    await copyRows(client, 'things', COLUMNS, copyText(COLUMNS, [thing(2)]));
    expect((await client.query('SELECT id FROM things ORDER BY id')).rows).toEqual([{ id: 1 }, { id: 2 }]);
  });

  it('fail when the connection breaks, and when Postgres takes too long', async () => {
    const client = await table();
    const other = await table();
    client.on('error', () => undefined);
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await client.query(
      'CREATE FUNCTION pg_temp.wait() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(30); RETURN NEW; END$$',
    );
    await client.query('CREATE TRIGGER waits BEFORE INSERT ON things FOR EACH ROW EXECUTE FUNCTION pg_temp.wait()');
    await client.query("SET statement_timeout = '100ms'");
    const text = copyText(COLUMNS, [thing(1)]);
    await expect(copyRows(client, 'things', COLUMNS, text)).rejects.toThrow('statement timeout');
    await client.query('SET statement_timeout = 0');
    // By Postgres's word, or by the socket's, whichever comes first.
    const failed = expect(copyRows(client, 'things', COLUMNS, text)).rejects.toThrow();
    await other.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
    await failed;
  });
});
