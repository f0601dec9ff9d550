import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { createDatabase } from '../kit/database.ts';
import { compare } from '../prove/books.mjs';

/** Runs a short form of a proof. */
async function prove(name: string, ...args: string[]): Promise<{ code: number; text: string }> {
  const script = fileURLToPath(new URL(`../prove/${name}.mjs`, import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more) => {
      text += more;
    });
  const [code] = await once(child, 'close');
  return { code, text };
}

it('loses nothing and counts nothing twice when the server is killed under load (npm run prove:crash)', async () => {
  const { code, text } = await prove('crash', '--rounds', '3');
  expect([code, text]).toEqual([0, expect.stringContaining('Proven')]);
  expect(text).toMatch(/round 3 of 3: killed in the middle of .*broken/);
}, 180_000);

it('fails nothing while Postgres is away, and has everything afterwards (npm run prove:outage)', async () => {
  const { code, text } = await prove('outage', '--seconds', '3');
  expect([code, text]).toEqual([0, expect.stringContaining('Proven')]);
}, 180_000);

it('passes no hard budget, and refuses nobody for whom there is room (npm run prove:budget)', async () => {
  const { code, text } = await prove('budget', '--seconds', '12', '--callers', '50');
  expect([code, text]).toEqual([0, expect.stringContaining('Proven')]);
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
