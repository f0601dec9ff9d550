import fc from 'fast-check';
import type { Intent, RequestStatus, Settlement } from '../../../src/gateway/ledger/records.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { picodollars } from '../../../src/platform/money.ts';
import { cached, DECISION, HOLD, intent, outcome, settlement } from './kit.ts';

/** What is written into a journal for one completion. */
export interface JournaledCompletion {
  intents: Intent[];
  settlements: Settlement[];
  /** In the place of both, for one that made no attempt. */
  unattempted: ReturnType<typeof cached> | null;
}

/** Random completions: failing over, cancelled, unpriced, cached, of several people, minutes, models and variants. */
export function randomCompletions(count: number, seed: number): JournaledCompletion[] {
  const users = [uuidv7(), uuidv7(), null];
  const variants = [uuidv7(), uuidv7(), null];
  const start = Date.parse('2026-11-20T10:58:30.000Z');
  const completion = fc.record({
    user: fc.constantFrom(...users),
    model: fc.constantFrom('small', 'large'),
    startedAt: fc.integer({ min: start, max: start + 180_000 }),
    status: fc.constantFrom<RequestStatus>('SUCCEEDED', 'FAILED', 'CANCELLED'),
    tokens: fc.option(fc.integer({ min: 0, max: 5000 })),
    cost: fc.option(fc.bigInt({ min: 0n, max: 10n ** 17n })),
    latencyMs: fc.integer({ min: 0, max: 90_000 }),
    firstToken: fc.option(fc.integer({ min: 0, max: 3000 })),
    failures: fc.integer({ min: 0, max: 2 }),
    variants: fc.array(fc.constantFrom(...variants), { minLength: 3, maxLength: 3 }),
    decision: fc.constantFrom(DECISION, null),
    hold: fc.constantFrom(HOLD, null),
    isCached: fc.integer({ min: 0, max: 9 }).map((number) => number === 0),
  });
  return fc.sample(completion, { numRuns: count, seed }).map((random) => {
    const { user: userId, startedAt, decision } = random;
    const { origin } = intent({}, { userId, startedAt, decision });
    const usage = { ...outcome().usage, inputTokens: random.tokens, outputTokens: random.tokens };
    if (random.isCached) {
      const unattempted = cached(origin, { usage, model: random.model, targetId: random.variants[0] ?? null });
      return { intents: [], settlements: [], unattempted };
    }
    const attempts = Array.from({ length: random.failures + 1 }, (_, index) => {
      // Later ones may begin in a minute after that of the completion.
      const startedAt = random.startedAt + index * 40_000;
      const targetId = random.variants[index] ?? null;
      return { ...intent({ number: index + 1, startedAt, model: random.model, targetId, hold: random.hold }), origin };
    });
    const { status, latencyMs, firstToken } = random;
    const cost = random.cost === null ? null : picodollars(random.cost);
    const settlements = attempts.map((attempt, index) =>
      index < random.failures
        ? {
            intent: attempt,
            attempt: outcome({ status: 'FAILED', errorCode: 'UPSTREAM', cost: null }),
            completion: null,
          }
        : settlement(attempt, { status, usage, cost, latencyMs, timeToFirstTokenMs: firstToken, answeredModel: null }),
    );
    return { intents: attempts, settlements, unattempted: null };
  });
}

export function attemptsOf(completions: readonly JournaledCompletion[]): number {
  return completions.reduce((sum, { intents }) => sum + intents.length, 0);
}
