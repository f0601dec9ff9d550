import { describe, expect, test } from 'vitest';
import {
  statusOfTest,
  statusOfTraffic,
  type Verdict,
  verdictOf,
} from '../../../src/control/providers/health-status.ts';
import { TrafficWindow } from '../../../src/control/providers/traffic-window.ts';
import type { AttemptReport } from '../../../src/gateway/completion.ts';

const calls = (answered: number, failed: number, limited = 0) => [
  ...Array<'ANSWERED'>(answered).fill('ANSWERED'),
  ...Array<'FAILED'>(failed).fill('FAILED'),
  ...Array<'LIMITED'>(limited).fill('LIMITED'),
];

describe('what a call says of its provider', () => {
  test.each<[AttemptReport['errorCode'], number | null, Verdict | null]>([
    ['UPSTREAM', null, 'FAILED'],
    ['UPSTREAM', 200, 'FAILED'],
    ['UPSTREAM', 401, 'FAILED'],
    ['UPSTREAM', 402, 'FAILED'],
    ['UPSTREAM', 503, 'FAILED'],
    ['UPSTREAM', 404, 'REFUSED'],
    ['UPSTREAM_TIMEOUT', 200, 'FAILED'],
    ['RATE_LIMITED', 429, 'LIMITED'],
    ['VALIDATION', 400, 'REFUSED'],
    ['CONTEXT_LENGTH_EXCEEDED', 400, 'REFUSED'],
    ['CONTENT_FILTERED', 400, 'REFUSED'],
    ['OVERLOADED', null, null],
    ['INTERNAL', 200, null],
  ])('%s with status %s: %s', (errorCode, upstreamStatus, verdict) => {
    expect(verdictOf({ status: 'FAILED', errorCode, upstreamStatus })).toBe(verdict);
  });

  test('a client that leaves says nothing', () => {
    expect(verdictOf({ status: 'CANCELLED', errorCode: 'CANCELLED', upstreamStatus: null })).toBeNull();
  });

  test('a test is OFFLINE only without any usable answer', () => {
    const verdicts: Verdict[] = ['ANSWERED', 'LIMITED', 'REFUSED', 'FAILED'];
    expect(verdicts.map(statusOfTest)).toEqual(['ONLINE', 'DEGRADED', 'DEGRADED', 'OFFLINE']);
  });
});

describe('what traffic says of a provider', () => {
  test.each<[number, number, number, string | null]>([
    [0, 0, 0, null],
    [1, 0, 0, 'ONLINE'],
    [0, 2, 0, null],
    [1, 1, 0, null],
    [0, 3, 0, 'OFFLINE'],
    [2, 1, 0, 'ONLINE'],
    [1, 2, 0, 'DEGRADED'],
    [4, 16, 0, 'OFFLINE'],
    [5, 15, 0, 'DEGRADED'],
    [16, 4, 0, 'DEGRADED'],
    [17, 3, 0, 'ONLINE'],
    [0, 0, 20, 'DEGRADED'],
    [0, 2, 1, 'DEGRADED'],
  ])('%i answered, %i failed, %i limited: %s', (answered, failed, limited, status) => {
    expect(statusOfTraffic(calls(answered, failed, limited))).toBe(status);
  });
});

describe('the window of recent calls', () => {
  const attempt = (finishedAt: number, errorMessage: string | null = null) =>
    ({ finishedAt, latencyMs: finishedAt, upstreamStatus: 200, errorMessage }) as AttemptReport;

  test('holds the last 20 calls', () => {
    const window = new TrafficWindow();
    for (let at = 1; at <= 20; at++) window.add(attempt(at, 'It fell over.'), 'FAILED');
    expect(window.observe(20)).toMatchObject({ status: 'OFFLINE', latencyMs: 20, detail: 'It fell over.' });
    for (let at = 21; at <= 40; at++) window.add(attempt(at), 'ANSWERED');
    expect(window.observe(40)).toMatchObject({ status: 'ONLINE', latencyMs: 40, detail: null });
  });

  test('forgets calls after five minutes', () => {
    const window = new TrafficWindow();
    for (const at of [1, 2, 3]) window.add(attempt(at), 'FAILED');
    expect(window.observe(300_000)).toMatchObject({ status: 'OFFLINE' });
    expect(window.observe(300_001)).toBeNull();
    window.add(attempt(300_002), 'ANSWERED');
    expect(window.observe(300_003)).toMatchObject({ status: 'ONLINE' });
  });

  test('tells of the failure, though the newest call was answered', () => {
    const window = new TrafficWindow();
    window.add(attempt(1, 'first'), 'FAILED');
    window.add(attempt(2, 'second'), 'FAILED');
    window.add(attempt(3), 'ANSWERED');
    expect(window.observe(3)).toMatchObject({ status: 'DEGRADED', detail: 'second', latencyMs: 2 });
  });
});
