import { expect, it } from 'vitest';
import { Scenarios } from '../../../../src/gateway/upstream/sandbox/scenarios.ts';

it('counts time from the first request of a scenario', () => {
  const scenarios = new Scenarios();
  const at = (now: number) => scenarios.happens({ forMs: 100 }, 'm', now);
  expect([1000, 1050, 1099, 1100, 5000, 1050].map(at)).toEqual([true, true, true, false, false, true]);
  expect(scenarios.happens({ forMs: 100 }, 'other', 5000)).toBe(true);
});

it('is over when either limit is reached', () => {
  const scenarios = new Scenarios();
  const at = (now: number) => scenarios.happens({ forMs: 100, times: 2 }, 'm', now);
  expect([0, 10, 20].map(at)).toEqual([true, true, false]);
  const late = (now: number) => scenarios.happens({ forMs: 100, times: 2 }, 'n', now);
  expect([0, 200].map(late)).toEqual([true, false]);
});

it('counts no request whose fault is not limited', () => {
  const scenarios = new Scenarios();
  for (let at = 0; at < 3; at++) expect(scenarios.happens({ scenario: 's' }, 'm', at)).toBe(true);
  expect(scenarios.happens({ scenario: 's', times: 1 }, 'm', 4)).toBe(true);
  expect(scenarios.happens({ scenario: 's', times: 1 }, 'm', 5)).toBe(false);
});
