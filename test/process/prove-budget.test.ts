import { expect, it } from 'vitest';
import { prove } from './prove.ts';

it('passes no hard budget, and refuses nobody for whom there is room (npm run prove:budget)', async () => {
  const { code, text } = await prove('budget', '--seconds', '12', '--callers', '50');
  expect([code, text]).toEqual([0, expect.stringContaining('Proven')]);
}, 180_000);
