import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeyRing, keysOf } from '../../../src/gateway/routing/keys.ts';
import type { ProviderEntry, ProviderKey } from '../../../src/gateway/snapshot/snapshot.ts';

const NONE: ReadonlySet<string> = new Set();
const key = (id: string, weight = 1): ProviderKey => ({ id, secret: `secret-${id}`, weight });
const a = key('a');
const b = key('b');

function picks(ring: KeyRing, keys: readonly ProviderKey[], count: number, now = 0): string[] {
  return Array.from({ length: count }, () => {
    const choice = ring.choose('p', keys, NONE, now);
    return choice.kind === 'NONE' ? '-' : (choice.key?.id ?? 'keyless');
  });
}

describe('choosing', () => {
  test('gives each key exactly its share of every round, whatever window is looked at', () => {
    const weights = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(weights, fc.nat(50), (list, skipped) => {
        const keys = list.map((weight, index) => key(String(index), weight));
        const round = list.reduce((sum, weight) => sum + weight, 0);
        const window = picks(new KeyRing(), keys, skipped + round).slice(skipped);
        for (const [index, weight] of list.entries())
          expect(window.filter((id) => id === String(index))).toHaveLength(weight);
      }),
    );
  });

  test('spreads a heavy key among the light ones', () => {
    expect(picks(new KeyRing(), [key('a', 3), key('b'), key('c')], 5).join('')).toMatch(/^a[bc]a[bc]a$/);
  });

  test('a provider without keys is ready without one; one whose keys were all tried has nothing', () => {
    const ring = new KeyRing();
    expect(ring.choose('p', [], NONE)).toEqual({ kind: 'READY', key: null });
    expect(ring.choose('p', [a, b], new Set(['a', 'b']))).toEqual({ kind: 'NONE' });
    expect(ring.choose('p', [a, b], new Set(['a']))).toEqual({ kind: 'READY', key: b });
  });

  test('an own key is used alone, and one that cannot be decrypted is not replaced', () => {
    const provider = { id: 'p', keys: [a, b] } as unknown as ProviderEntry;
    expect(keysOf(provider, new Map())).toEqual([a, b]);
    expect(keysOf(provider, new Map([['other', key('own')]]))).toEqual([a, b]);
    expect(keysOf(provider, new Map([['p', key('own')]]))).toEqual([key('own')]);
    expect(keysOf(provider, new Map([['p', null]]))).toEqual([]);
  });
});

describe('a key that was at fault', () => {
  test('rests while the others serve, as long as the provider asks: 30 seconds if it does not say, an hour at most', () => {
    for (const [asked, rests] of [
      [null, 30_000],
      [7_000, 7_000],
      [86_400_000, 3_600_000],
    ] as const) {
      const ring = new KeyRing();
      ring.rest('a', 'LIMITED', asked, 1_000);
      expect(ring.restOf('a', 1_000)).toEqual({
        reason: 'LIMITED',
        isAsked: asked === 7_000,
        since: 1_000,
        until: 1_000 + rests,
      });
      expect(picks(ring, [a, b], 4, 999 + rests).join('')).toBe('bbbb');
      expect(ring.restOf('a', 1_000 + rests)).toBeNull();
      expect(picks(ring, [a, b], 4, 1_000 + rests)).toContain('a');
    }
  });

  test('that was rejected rests for 5 minutes, and is then tried by one call alone', () => {
    const ring = new KeyRing();
    ring.rest('a', 'REJECTED', 1_000, 0);
    expect(picks(ring, [a, b], 6, 299_999)).not.toContain('a');
    expect(picks(ring, [a, b], 6, 300_000).filter((id) => id === 'a')).toHaveLength(1);
    ring.answered('a', 300_000);
    expect(picks(ring, [a, b], 6, 300_000).filter((id) => id === 'a')).toHaveLength(3);
  });

  test('is used again once a call with it is answered that began after the fault', () => {
    const ring = new KeyRing();
    ring.rest('a', 'LIMITED', null, 1_000);
    ring.answered('a', 999);
    expect(ring.restOf('a', 1_001)).not.toBeNull();
    ring.answered('a', 1_000);
    expect(ring.restOf('a', 1_001)).toBeNull();
  });

  test('is offered as resting when nothing else is left, the one whose rest ends first', () => {
    const ring = new KeyRing();
    ring.rest('a', 'LIMITED', 9_000, 0);
    ring.rest('b', 'LIMITED', 5_000, 0);
    expect(ring.choose('p', [a, b], NONE, 1)).toEqual({ kind: 'RESTING', key: b, until: 5_000, isAsked: true });
    expect(ring.choose('p', [a, b], new Set(['b']), 1)).toEqual({
      kind: 'RESTING',
      key: a,
      until: 9_000,
      isAsked: true,
    });
  });

  test('is forgotten when 10,000 others were at fault since', () => {
    const ring = new KeyRing();
    for (let index = 0; index <= 10_000; index++) ring.rest(`key-${index}`, 'REJECTED', null, 0);
    expect(ring.restOf('key-0', 1)).toBeNull();
    expect(ring.restOf('key-1', 1)).not.toBeNull();
  });
});
