import pg from 'pg';
import { expect, it, onTestFinished } from 'vitest';
import { forgetFacts } from '../../../src/gateway/ledger/forget-facts.ts';
import { postBatch } from '../../../src/gateway/ledger/post.ts';
import { ledgerDatabase, totals } from './kit.ts';

const NEVER = new AbortController().signal;

/** A ledger with facts that were written so many days ago. */
async function ledger(ages: Readonly<Record<string, number>>) {
  const database = await ledgerDatabase();
  const pool = new pg.Pool({ ...database.connection, max: 3 });
  onTestFinished(() => pool.end());
  const post = (...ids: string[]) =>
    postBatch(database.client, 'server-1', totals(), {
      ...{ attempts: [], completions: [], prices: [], position: { segment: 1, offset: 1 } },
      facts: ids.map((id) => ({ id, content: { of: id } })),
    });
  await post(...Object.keys(ages));
  for (const [id, days] of Object.entries(ages))
    await pool.query('UPDATE routing_facts SET created_at = now() - make_interval(secs => $2) WHERE id = $1', [
      id,
      days * 86_400,
    ]);
  const left = async () => (await pool.query('SELECT id FROM routing_facts ORDER BY id')).rows.map(({ id }) => id);
  return { pool, post, left };
}

it('deletes what was not written for so many days and the one for which it may still be named, in batches', async () => {
  const { pool, left } = await ledger({ young: 0, named: 3.9, old: 4.1, older: 40, oldest: 400 });
  expect(await forgetFacts(pool, 3, NEVER, 2)).toBe(3);
  expect(await left()).toEqual(['named', 'young']);
  expect(await forgetFacts(pool, 3, NEVER, 2)).toBe(0);
});

it('keeps what was written again meanwhile', async () => {
  const { pool, post, left } = await ledger({ used: 40, unused: 40 });
  await post('used', 'new');
  expect(await forgetFacts(pool, 30, NEVER)).toBe(1);
  expect(await left()).toEqual(['new', 'used']);
});

it('deletes nothing once it is to end', async () => {
  const { pool, left } = await ledger({ old: 40 });
  expect(await forgetFacts(pool, 30, AbortSignal.abort())).toBe(0);
  expect(await left()).toEqual(['old']);
});

it('waits for nobody who is writing a fact again, and leaves it to them', async () => {
  const { pool, left } = await ledger({ used: 40, unused: 40 });
  const writer = await pool.connect();
  await writer.query('BEGIN');
  await writer.query("UPDATE routing_facts SET created_at = now() WHERE id = 'used'");
  expect(await forgetFacts(pool, 30, NEVER)).toBe(1);
  await writer.query('COMMIT');
  writer.release();
  expect(await left()).toEqual(['used']);
});

it('takes nothing from who writes what it is deleting: it comes back whole', async () => {
  const { pool, post, left } = await ledger({ used: 40 });
  const forgetting = await pool.connect();
  await forgetting.query('BEGIN');
  await forgetFacts(forgetting, 30, NEVER);
  const posting = post('used');
  await expect
    .poll(async () => (await pool.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).rowCount)
    .toBe(1);
  await forgetting.query('COMMIT');
  forgetting.release();
  await posting;
  expect(await left()).toEqual(['used']);
  expect((await pool.query('SELECT content FROM routing_facts')).rows).toEqual([{ content: { of: 'used' } }]);
});
