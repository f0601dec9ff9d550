import { expect, it } from 'vitest';
import { createDatabase } from '../kit/database.ts';
import { compare } from '../prove/books.mjs';
import { prove } from './prove.ts';

it('loses nothing and counts nothing twice when the server is killed under load (npm run prove:crash)', async () => {
  const { code, text } = await prove('crash', '--rounds', '3');
  expect([code, text]).toEqual([0, expect.stringContaining('Proven')]);
  expect(text).toMatch(/round 3 of 3: killed in the middle of .*broken/);
}, 180_000);

it('finds what is missing, and what should not be there', async () => {
  const database = await createDatabase();
  const usage = { inputTokens: 9, outputTokens: 4 };
  const call = { provider: 'first', tag: 'a', ...usage, outcome: 'COMPLETE' };
  const sighting = { tag: 'a', outcome: 'COMPLETE', requestId: 'x', usage, cost: '1', error: null };
  const { violations } = await compare(database.connection, [sighting], [call]);
  expect(violations).toContain('a was answered, but is not on the ledger');
  expect(violations).toContain('a at first was dispatched 1 times, but is on the ledger 0 times');
  await database.drop();
});
