import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Claims, forgetClaims } from '../../../src/gateway/replay/replay.ts';
import { createPool } from '../../../src/platform/database/connection.ts';
import { createLog } from '../../../src/platform/log.ts';
import { createDatabase, type TestDatabase } from '../../kit/database.ts';
import { startNetwork } from '../../traps/network.ts';

const log = createLog({ logLevel: 'silent' });
let database: TestDatabase;
let pool: pg.Pool;

beforeAll(async () => {
  database = await createDatabase();
  pool = createPool(database.connection, { max: 10, applicationName: 'test' });
});
afterAll(async () => {
  await pool?.end();
  await database?.drop();
});

const claimOf = (key: string, fingerprint = 'f') => ({ caller: 'me', key, fingerprint, completionId: randomUUID() });
const expire = (key: string) =>
  pool.query("UPDATE claims SET expires_at = now() - interval '1 s' WHERE key = $1", [key]);
const ownerOf = async (key: string) =>
  (await pool.query('SELECT completion_id FROM claims WHERE key = $1', [key])).rows.map((row) => row.completion_id);

describe('a name', () => {
  test('is had by one of many servers that claim it at once', async () => {
    const servers = Array.from({ length: 8 }, (_, number) => new Claims(pool, `server ${number}`, log));
    for (let round = 0; round < 10; round += 1) {
      const claims = servers.map(() => claimOf(`race ${round}`));
      const outcomes = await Promise.allSettled(servers.map((server, at) => server.take(claims[at] ?? claimOf(''))));
      const winners = claims.filter((_, at) => outcomes[at]?.status === 'fulfilled');
      expect(winners.map(({ completionId }) => completionId)).toEqual(await ownerOf(`race ${round}`));
      for (const outcome of outcomes)
        if (outcome.status === 'rejected')
          expect(outcome.reason).toMatchObject({ code: 'CONFLICT', completionId: winners[0]?.completionId });
    }
  });

  test('costs one statement, is kept for 24 hours, and can be had again after that', async () => {
    let statements = 0;
    const counting = {
      query: (...args: Parameters<typeof pool.query>) => {
        statements += 1;
        return pool.query(...args);
      },
    };
    const claims = new Claims(counting as unknown as pg.Pool, 'here', log);
    await claims.take(claimOf('day'));
    expect(statements).toBe(1);
    await expect(claims.take(claimOf('day'))).rejects.toMatchObject({
      message: expect.stringContaining('not here any more'),
    });
    await expect(claims.take(claimOf('day', 'g'))).rejects.toMatchObject({
      message: expect.stringContaining('other input'),
    });
    await expect(new Claims(pool, 'there', log).take(claimOf('day'))).rejects.toMatchObject({
      message: expect.stringContaining('Another server'),
    });
    expect(statements).toBe(3);
    const { rows } = await pool.query(
      "SELECT expires_at - now() > interval '23:59' AS is_long FROM claims WHERE key = 'day'",
    );
    expect(rows).toEqual([{ is_long: true }]);
    await expire('day');
    const again = claimOf('day', 'g');
    await claims.take(again);
    expect(await ownerOf('day')).toEqual([again.completionId]);
  });

  test('is free again when its completion never began, and only then', async () => {
    const claims = new Claims(pool, 'here', log);
    const first = claimOf('free');
    await claims.take(first);
    await claims.release({ ...first, completionId: randomUUID() });
    expect(await ownerOf('free')).toEqual([first.completionId]);
    await claims.release(first);
    expect(await ownerOf('free')).toEqual([]);
  });
});

test('Postgres that does not answer in time is told as such, and what it may have claimed is claimed again', async () => {
  const late = {
    query: async (...args: Parameters<typeof pool.query>) => {
      await pool.query(...args);
      throw new Error('Query read timeout');
    },
  };
  let isLate = true;
  const switching = { query: (...args: Parameters<typeof pool.query>) => (isLate ? late : pool).query(...args) };
  const claims = new Claims(switching as unknown as pg.Pool, 'here', log);
  const lost = claimOf('late');
  await expect(claims.take(lost)).rejects.toMatchObject({
    code: 'OVERLOADED',
    message: expect.stringContaining('cannot be reached'),
  });
  await expect(claims.take(claimOf('late'))).rejects.toMatchObject({ code: 'OVERLOADED' });
  isLate = false;
  const again = claimOf('late');
  await claims.take(again);
  expect(await ownerOf('late')).toEqual([again.completionId]);
  // But not from whoever made it: it runs now.
  await expect(claims.take(claimOf('late'))).rejects.toMatchObject({ code: 'CONFLICT' });
});

test('a network that swallows everything is waited for 3 seconds at most', async () => {
  await using network = await startNetwork(database.connection, 'the first query');
  const cut = createPool(network.connection, { max: 1, applicationName: 'test' });
  const began = performance.now();
  await expect(new Claims(cut, 'here', log).take(claimOf('nowhere'))).rejects.toMatchObject({ code: 'OVERLOADED' });
  expect(performance.now() - began).toBeLessThan(4_500);
  void cut.end();
});

test('names whose time is over are deleted, in pieces, and no others', async () => {
  await pool.query('DELETE FROM claims');
  await pool.query(
    `INSERT INTO claims (caller, key, fingerprint, completion_id, server_id, expires_at)
     SELECT 'me', n::text, 'f', gen_random_uuid(), 's', now() + (n - 2500) * interval '1 min' FROM generate_series(1, 2600) AS n`,
  );
  await forgetClaims(pool, new AbortController().signal);
  expect((await pool.query('SELECT count(*)::int AS count FROM claims')).rows).toEqual([{ count: 100 }]);
});
