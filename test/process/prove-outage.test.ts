import { expect, it } from 'vitest';
import { prove } from './prove.ts';

it('fails nothing while Postgres is away, and has everything afterwards (npm run prove:outage)', async () => {
  const { code, text } = await prove('outage', '--seconds', '3');
  expect([code, text]).toEqual([0, expect.stringContaining('Proven')]);
}, 180_000);
