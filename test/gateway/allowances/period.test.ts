import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  BUDGET_PERIODS,
  type BudgetPeriod,
  Periods,
  periodAt,
  startOf,
} from '../../../src/gateway/allowances/period.ts';

const PERIODS = BUDGET_PERIODS.filter((period) => period !== 'TOTAL');
const instant = fc.date({
  min: new Date('1970-01-01T00:00:00Z'),
  max: new Date('2199-12-31T23:59:59.999Z'),
  noInvalidDate: true,
});

/**
 * With summer time at 02:00 (Berlin) and at midnight (Cairo, Havana, Sao_Paulo), by half an hour (Lord_Howe), off the hour
 * (Kolkata, Kathmandu, Chatham), and one that has left out a day (Apia, 30 December 2011).
 */
const ZONES = [
  ...['UTC', 'Europe/Berlin', 'America/New_York', 'America/Sao_Paulo', 'America/Havana', 'Africa/Cairo'],
  ...['Australia/Lord_Howe', 'Asia/Kolkata', 'Asia/Kathmandu', 'Pacific/Chatham', 'Pacific/Apia', 'Pacific/Kiritimati'],
];
const zone = fc.constantFrom(...ZONES);
/** When clocks change around midnight: they leave it out, come back to it, or come back to the hour before it. */
const CHANGES = [
  ['Africa/Cairo', '2026-04-23T22:00:00Z'],
  ['Africa/Cairo', '2026-10-29T21:00:00Z'],
  ['America/Havana', '2026-03-08T05:00:00Z'],
  ['America/Havana', '2026-11-01T05:00:00Z'],
  ['Atlantic/Azores', '2026-10-25T01:00:00Z'],
  ['America/Sao_Paulo', '2018-11-04T03:00:00Z'],
  ['Pacific/Apia', '2011-12-30T10:00:00Z'],
  ['Australia/Lord_Howe', '2026-10-03T15:30:00Z'],
] as const;
const DAY_MS = 86_400_000;
/** A time zone and an instant, often near to a change of its clocks. */
const moment = fc.oneof(
  fc.tuple(zone, instant),
  fc
    .tuple(fc.constantFrom(...CHANGES), fc.integer({ min: -2 * DAY_MS, max: 2 * DAY_MS }))
    .map(([[zone, at], more]): [string, Date] => [zone, new Date(Date.parse(at) + more)]),
);

function bounds(period: BudgetPeriod, at: Date, timeZone = 'UTC'): [start: Date, end: Date] {
  const { startsAt, endsAt } = periodAt(period, at, timeZone);
  if (!startsAt || !endsAt) throw new Error(`${period} has no bounds`);
  return [startsAt, endsAt];
}

const hours = ([start, end]: [Date, Date]) => (Number(end) - Number(start)) / 3_600_000;

describe.each(PERIODS)('a %s period', (period) => {
  it('holds the instant it was asked for, and every other one in it has the same', () => {
    fc.assert(
      fc.property(moment, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), ([zone, at], share) => {
        const [start, end] = bounds(period, at, zone);
        expect(at >= start && at < end).toBe(true);
        const other = new Date(start.getTime() + Math.floor(share * (end.getTime() - start.getTime())));
        expect(bounds(period, other, zone)).toEqual([start, end]);
      }),
    );
  });

  it('ends where the next one starts', () => {
    fc.assert(
      fc.property(moment, ([zone, at]) => {
        const [start, end] = bounds(period, at, zone);
        expect(bounds(period, end, zone)[0]).toEqual(end);
        expect(bounds(period, new Date(start.getTime() - 1), zone)[1]).toEqual(start);
      }),
    );
  });

  it('begins at midnight UTC', () => {
    fc.assert(
      fc.property(instant, (at) => {
        expect(bounds(period, at)[0].toISOString()).toMatch(/T00:00:00\.000Z$/);
      }),
    );
  });
});

test.each([
  ['DAILY', '2026-11-20', '2026-11-21'],
  ['WEEKLY', '2026-11-16', '2026-11-23'],
  ['MONTHLY', '2026-11-01', '2026-12-01'],
  ['QUARTERLY', '2026-10-01', '2027-01-01'],
  ['YEARLY', '2026-01-01', '2027-01-01'],
] as const)('%s on a Friday in November', (period, start, end) => {
  expect(bounds(period, new Date('2026-11-20T22:15:00Z'))).toEqual([new Date(start), new Date(end)]);
});

test('a Sunday is the last day of its week', () => {
  expect(bounds('WEEKLY', new Date('2026-11-22T23:59:59.999Z'))[1]).toEqual(new Date('2026-11-23T00:00:00Z'));
});

test('a total has neither beginning nor end', () => {
  expect(periodAt('TOTAL', new Date(), 'UTC')).toEqual({ startsAt: null, endsAt: null });
});

describe('in a time zone', () => {
  test.each([
    ['Europe/Berlin', '2026-03-29T10:00:00Z', 23],
    ['Europe/Berlin', '2026-10-25T10:00:00Z', 25],
    ['Europe/Berlin', '2026-11-20T10:00:00Z', 24],
    ['Australia/Lord_Howe', '2026-10-03T20:00:00Z', 23.5],
    ['America/Sao_Paulo', '2018-11-04T12:00:00Z', 23],
    ['America/Havana', '2026-11-01T12:00:00Z', 25],
  ])('%s, the day of %s has %d hours', (zone, at, expected) => {
    expect(hours(bounds('DAILY', new Date(at), zone))).toBe(expected);
  });

  test.each([
    ['Asia/Kolkata', '2026-11-19T18:30:00.000Z'],
    ['Asia/Kathmandu', '2026-11-19T18:15:00.000Z'],
    ['America/New_York', '2026-11-20T05:00:00.000Z'],
    ['Pacific/Kiritimati', '2026-11-19T10:00:00.000Z'],
  ])('%s, a day begins at its own midnight', (zone, start) => {
    const before = new Date(Number(new Date(start)) - 1);
    expect(bounds('DAILY', new Date(start), zone)[0].toISOString()).toBe(start);
    expect(bounds('DAILY', before, zone)[1].toISOString()).toBe(start);
  });

  test('a day without a midnight begins at its first instant, and so does the week or month that it begins', () => {
    // Clocks in Cairo went from 23:59:59 on Thursday to 01:00 on Friday.
    const friday = new Date('2026-04-24T12:00:00Z');
    expect(bounds('DAILY', friday, 'Africa/Cairo')[0].toISOString()).toBe('2026-04-23T22:00:00.000Z');
    // In Asuncion the day before was the last of a month.
    const october = bounds('MONTHLY', new Date('2017-10-10T00:00:00Z'), 'America/Asuncion');
    expect(october[0].toISOString()).toBe('2017-10-01T04:00:00.000Z');
  });

  test('a day that was left out is no period', () => {
    const [start, end] = bounds('DAILY', new Date('2011-12-29T20:00:00Z'), 'Pacific/Apia');
    expect([start.toISOString(), end.toISOString()]).toEqual(['2011-12-29T10:00:00.000Z', '2011-12-30T10:00:00.000Z']);
    expect(bounds('DAILY', end, 'Pacific/Apia')[0]).toEqual(end);
  });

  test('the periods that are remembered are those that are computed, in whatever order they are asked for', () => {
    const asked = fc.array(fc.tuple(fc.constantFrom(...BUDGET_PERIODS), instant), { maxLength: 20 });
    fc.assert(
      fc.property(zone, asked, (zone, asked) => {
        const periods = new Periods(zone);
        for (const [period, at] of asked) {
          const span = periods.at(period, Number(at));
          expect(startOf(span)).toEqual(startOf(periodAt(period, at, zone)));
          expect(span.endsAt).toEqual(periodAt(period, at, zone).endsAt);
        }
      }),
    );
  });
});
