import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseChunk } from '../../../../src/gateway/upstream/openai/read-chunk.ts';
import { readCost } from '../../../../src/gateway/upstream/openai/usage.ts';
import { SseReader } from '../../../../src/gateway/upstream/sse.ts';

const recordings = process.env.WIRE_RECORDINGS;

describe('a reported cost', () => {
  it('is in dollars', () => {
    expect(readCost({ prompt_tokens: 57, cost: 0.00007159, is_byok: false })).toBe(71_590_000n);
    expect(readCost({ cost: 0 })).toBe(0n);
  });

  it('includes what the provider behind charges, where only OpenRouter’s fee is the cost', () => {
    const details = { upstream_inference_cost: 0.0002 };
    expect(readCost({ cost: 0.00001, is_byok: true, cost_details: details })).toBe(210_000_000n);
    expect(readCost({ cost: 0.0002, is_byok: false, cost_details: details })).toBe(200_000_000n);
    // Only the fee is known, so the cost is not.
    expect(readCost({ cost: 0.00001, is_byok: true })).toBeNull();
    expect(readCost({ cost: 0.00001, is_byok: true, cost_details: { upstream_inference_cost: null } })).toBeNull();
  });

  it.each([
    null,
    undefined,
    1,
    'x',
    [],
    {},
    { cost: null },
    { cost: '0.1' },
    { cost: -1 },
    { cost: { total_cost: 1 } },
  ])('is not in %j', (usage) => expect(readCost(usage)).toBeNull());

  it.skipIf(!recordings)('is what OpenRouter wrote, in every recording (WIRE_RECORDINGS)', () => {
    const folder = join(recordings ?? '', 'openai');
    let costs = 0;
    for (const file of readdirSync(folder)) {
      const { provider, response } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Recording;
      const picodollars = (member: string) => {
        const dollars = new RegExp(`"${member}":([\\d.e-]+),`).exec(response)?.[1];
        return dollars === undefined ? null : BigInt(Math.round(Number(dollars) * 1e12));
      };
      const written = picodollars('cost');
      if (provider !== 'openrouter' || written === null) continue;
      const charge = response.includes('"is_byok":true') ? (picodollars('upstream_inference_cost') ?? 0n) : 0n;
      const bytes = Buffer.from(response);
      const events = response.trimStart().startsWith('{') ? [response] : new SseReader().push(bytes);
      const read = events.flatMap((data) => parseChunk(data)?.cost ?? []);
      expect(read, file).toEqual([written + charge]);
      costs += 1;
    }
    expect(costs).toBeGreaterThan(20);
  });
});

interface Recording {
  provider: string;
  response: string;
}
