import { expect, test } from 'vitest';
import { KeyRing } from '../../../src/gateway/routing/keys.ts';
import { MOST_ATTEMPTS, Plan } from '../../../src/gateway/routing/plan.ts';
import type { Target } from '../../../src/gateway/routing/resolve.ts';
import type { Remedy } from '../../../src/gateway/upstream/failure.ts';

/** Targets at providers with these keys. */
function targets(...providers: [name: string, keys: string[]][]): Target[] {
  return providers.map(([name, ids]) => {
    const keys = ids.map((id) => ({ id, secret: id, weight: 1 }));
    const model = { name: 'm', price: null, contextTokens: null, maxOutputTokens: null };
    return { provider: { id: name, slug: name, keys }, model } as unknown as Target;
  });
}

/** The steps of a plan whose steps fail with these remedies, as `provider:key`. */
function steps(list: readonly Target[], remedies: readonly Remedy[], ring = new KeyRing()): string[] {
  const plan = new Plan(list, ({ keys }, tried) => ring.choose(keys, tried));
  const seen: string[] = [];
  for (let step = plan.first(); step; step = plan.after(step, remedies[seen.length - 1] ?? 'NONE')) {
    expect(step.number).toBe(seen.length + 1);
    seen.push(`${step.target.provider.slug}:${step.key?.id ?? '-'}`);
  }
  return seen;
}

test('a target is tried again with another key where the key was at fault, then the next target', () => {
  const list = targets(['p', ['k1', 'k2']], ['q', ['k3']]);
  expect(steps(list, ['OTHER_KEY', 'OTHER_KEY', 'NONE'])).toEqual(['p:k1', 'p:k2', 'q:k3']);
  expect(steps(list, ['OTHER_TARGET', 'OTHER_KEY', 'NONE'])).toEqual(['p:k1', 'q:k3']);
  expect(steps(list, ['NONE'])).toEqual(['p:k1']);
});

test('the next model of a provider goes with a key as well, though every key was used', () => {
  expect(steps(targets(['p', ['k1']], ['p', ['k1']]), ['SAME_TARGET'])).toEqual(['p:k1', 'p:k1']);
});

test('a provider that needs no key is left for the next one when it rejects the call', () => {
  expect(steps(targets(['p', []], ['q', []]), ['OTHER_KEY', 'OTHER_KEY'])).toEqual(['p:-', 'q:-']);
});

test('a provider whose keys all rest comes after those that are ready', () => {
  const ring = new KeyRing();
  ring.rest('k1', 'LIMITED', null);
  const list = targets(['p', ['k1']], ['q', ['k2']]);
  expect(steps(list, ['OTHER_TARGET'], ring)).toEqual(['q:k2', 'p:k1']);
});

test('rather than refusing, the key whose rest ends first is tried', () => {
  const ring = new KeyRing();
  ring.rest('k1', 'LIMITED', 9_000);
  ring.rest('k2', 'LIMITED', 5_000);
  ring.rest('k3', 'LIMITED', 7_000);
  const list = targets(['p', ['k1']], ['q', ['k2', 'k3']]);
  expect(steps(list, ['OTHER_KEY', 'OTHER_KEY', 'OTHER_KEY'], ring)).toEqual(['q:k2', 'q:k3', 'p:k1']);
});

test('there are at most four calls in all', () => {
  const list = targets(['p', ['1', '2', '3', '4', '5', '6']], ['q', ['7']]);
  expect(steps(list, Array(9).fill('OTHER_KEY'))).toHaveLength(MOST_ATTEMPTS);
});
