import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crossedThresholds, percentUsed, progressOf, remaining } from '../../../src/control/budgets/progress.ts';
import type { BudgetView } from '../../../src/control/budgets/read.ts';
import { picodollars } from '../../../src/platform/money.ts';

const START = new Date('2026-11-01T00:00:00Z');
const money = (max: bigint) => fc.bigInt({ min: 0n, max }).map(picodollars);
const limit = fc.bigInt({ min: 1n, max: 10n ** 30n }).map(picodollars);
const thresholds = fc
  .uniqueArray(fc.integer({ min: 1, max: 1_000 }), { maxLength: 10 })
  .map((list) => list.sort((a, b) => a - b));

function budget(more: Partial<BudgetView>): BudgetView {
  const spent = picodollars(0n);
  return {
    ...{ id: 'b', name: null, scope: 'EVERYTHING', subjectId: null, subject: null, ownerId: null, version: 1 },
    ...{ period: 'MONTHLY', enforcement: 'SOFT', limit: picodollars(100n), thresholds: [50, 80, 100] },
    ...{ startsAt: START, endsAt: new Date('2026-12-01T00:00:00Z'), createdAt: START, updatedAt: START, spent },
    held: picodollars(0n),
    isManaged: false,
    told: { startsAt: START, spent, threshold: 0 },
    ...more,
  };
}

describe('progress', () => {
  it('tells the thresholds at or below what is used, each once, ascending, whatever is spent between two looks', () => {
    const costs = fc.array(money(10n ** 30n), { maxLength: 20 });
    fc.assert(
      fc.property(limit, thresholds, costs, (limit, thresholds, costs) => {
        let now = budget({ limit, thresholds });
        const told: (number | null)[] = [];
        for (const cost of costs) {
          now = { ...now, spent: picodollars(now.spent + cost) };
          const progress = progressOf(now);
          told.push(
            ...progress.changes.flatMap(({ reason, threshold }) => (reason === 'THRESHOLD_CROSSED' ? threshold : [])),
          );
          expect(progress.changes.filter(({ reason }) => reason === 'SPENT')).toHaveLength(cost > 0n ? 1 : 0);
          now = { ...now, told: progress.told };
          expect(progressOf(now).changes).toEqual([]);
        }
        expect(told).toEqual(thresholds.filter((threshold) => threshold <= percentUsed(now)));
        expect(told).toEqual(crossedThresholds(now));
      }),
    );
  });

  it('begins anew with a period, once', () => {
    const told = { startsAt: new Date('2026-10-01T00:00:00Z'), spent: picodollars(500n), threshold: 100 };
    const { changes, told: after } = progressOf(budget({ told, spent: picodollars(85n) }));
    expect(changes.map(({ reason, threshold }) => [reason, threshold])).toEqual([
      ['PERIOD_STARTED', null],
      ['SPENT', null],
      ['THRESHOLD_CROSSED', 50],
      ['THRESHOLD_CROSSED', 80],
    ]);
    expect(after).toEqual({ startsAt: START, spent: 85n, threshold: 80 });
  });

  it('never goes back into a period that is over', () => {
    const told = { startsAt: new Date('2026-12-01T00:00:00Z'), spent: picodollars(0n), threshold: 0 };
    expect(progressOf(budget({ told, spent: picodollars(99n) }))).toEqual({ changes: [], told });
  });

  it('of a total has no periods', () => {
    const told = { startsAt: null, spent: picodollars(1n), threshold: 0 };
    const { changes } = progressOf(
      budget({ period: 'TOTAL', startsAt: null, endsAt: null, told, spent: picodollars(2n) }),
    );
    expect(changes.map(({ reason }) => reason)).toEqual(['SPENT']);
  });
});

describe('what is left', () => {
  it('and what is spent or set aside are the limit together, until that is reached', () => {
    fc.assert(
      fc.property(limit, money(10n ** 31n), money(10n ** 30n), (limit, spent, held) => {
        const used = spent + held;
        expect(remaining({ limit, spent, held })).toBe(used >= limit ? 0n : limit - used);
        expect(percentUsed({ limit, spent }) >= 100).toBe(spent >= limit);
      }),
    );
  });
});
