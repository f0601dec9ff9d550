import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Target } from '../../../src/gateway/routing/candidates.ts';
import { KeyRing } from '../../../src/gateway/routing/keys.ts';
import { Plan, type Step } from '../../../src/gateway/routing/plan.ts';
import type { Failure } from '../../../src/gateway/upstream/failure.ts';
import { UpstreamError } from '../../../src/platform/errors.ts';

const error = new UpstreamError('broken', { provider: 'p', upstreamStatus: null, attempts: 1 });

/** Targets with up to three keys each, some of them at the same provider, and with contexts of a few sizes. */
const targets = fc.array(
  fc.record({
    provider: fc.nat(4),
    contextTokens: fc.option(fc.constantFrom(1_000, 8_000, 32_000)),
  }),
  { minLength: 1, maxLength: 6 },
);
const keys = fc.array(fc.nat(3), { minLength: 5, maxLength: 5 });
const failures = fc.array(
  fc.record({
    remedy: fc.constantFrom('SAME_TARGET', 'OTHER_TARGET', 'OTHER_KEY', 'LARGER_MODEL'),
    key: fc.constantFrom('REJECTED', 'LIMITED'),
    retryAfterMs: fc.option(fc.integer({ min: 1, max: 40_000 })),
  }),
  { minLength: 12, maxLength: 12 },
);
const limits = fc.record({
  attempts: fc.integer({ min: 1, max: 11 }),
  deadline: fc.option(fc.integer({ min: 0, max: 60_000 })),
  triesAgain: fc.boolean(),
  asksOthersOnRefusal: fc.boolean(),
});

test('whatever fails: no more calls than planned, none after the time, none to a target that rests or is out', () => {
  fc.assert(
    fc.property(
      targets,
      keys,
      failures,
      limits,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (list, counts, script, given, random) => {
        const providers = counts.map((count, index) => ({
          ...{ id: `p${index}`, slug: `p${index}` },
          keys: Array.from({ length: count }, (_, key) => ({ id: `p${index}k${key}`, secret: '', weight: 1 })),
        }));
        const all = list.map(
          ({ provider, contextTokens }, index) =>
            ({
              id: `t${index}`,
              provider: providers[provider],
              model: { name: `m${index}`, contextTokens },
            }) as unknown as Target,
        );
        const half = Math.ceil(all.length / 2);
        const ring = new KeyRing();
        let now = 1_000_000;
        const plan = new Plan(
          all.slice(0, half),
          () => all.slice(half),
          { ...given, deadline: given.deadline === null ? null : now + given.deadline },
          {
            chooseKey: ({ id, keys: of }, tried) => ring.choose(id, of, tried, now),
            now: () => now,
            random: () => random,
          },
        );
        /** Until when a key, or a target, asked to be left alone. */
        const restsUntil = new Map<string, number>();
        const out = new Set<Target>();
        const rejected = new Set<string>();
        let calls = 0;
        for (let step: Step | null = plan.first(); step; ) {
          if (step.waitMs > 0) {
            now += step.waitMs;
            step = plan.resume(step);
            continue;
          }
          calls++;
          const { target, key } = step;
          const name = key?.id ?? target.provider.id;
          expect(step.number).toBe(calls);
          expect(calls).toBeLessThanOrEqual(given.attempts);
          if (given.deadline !== null) expect(now).toBeLessThan(1_000_000 + given.deadline);
          expect(out.has(target)).toBe(false);
          expect(rejected.has(name)).toBe(false);
          expect(restsUntil.get(name) ?? 0).toBeLessThanOrEqual(now);
          expect(restsUntil.get(target.id ?? '') ?? 0).toBeLessThanOrEqual(now);
          const { remedy, key: fault, retryAfterMs } = script[calls % script.length] ?? expect.fail('no failure');
          const isKey = remedy === 'OTHER_KEY';
          const failure: Failure = { error, remedy, key: isKey ? fault : null, retryAfterMs, upstreamStatus: null };
          if (isKey && fault === 'REJECTED' && key) rejected.add(name);
          if (isKey && (key || fault === 'LIMITED')) ring.rest(name, fault, retryAfterMs, now);
          if (isKey && fault === 'LIMITED' && retryAfterMs) restsUntil.set(name, now + retryAfterMs);
          if (remedy === 'SAME_TARGET' && retryAfterMs) restsUntil.set(target.id ?? '', now + retryAfterMs);
          if (remedy === 'OTHER_TARGET' || remedy === 'LARGER_MODEL') out.add(target);
          now += 5;
          step = plan.after(step, failure);
        }
      },
    ),
    { numRuns: 3_000 },
  );
});
