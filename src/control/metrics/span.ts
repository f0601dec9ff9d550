import { invalid } from '../../platform/errors.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** The named ranges, in milliseconds; each ends now. */
export const RANGES = {
  LAST_HOUR: HOUR_MS,
  LAST_24_HOURS: DAY_MS,
  LAST_7_DAYS: 7 * DAY_MS,
  LAST_30_DAYS: 30 * DAY_MS,
  LAST_90_DAYS: 90 * DAY_MS,
} as const;

export type MetricsRange = keyof typeof RANGES;

const LONGEST_MS = 1_100 * DAY_MS;

/** Whole buckets of time: from `from` up to, and without, `to`. */
export interface Span {
  grain: 'MINUTE' | 'HOUR';
  from: Date;
  to: Date;
}

/**
 * The span that metrics cover: whole minutes for up to 24 hours, else whole hours; never less than what was asked for.
 * A named range ends with the bucket that is running; `from` takes the place of the range, and `to` defaults to now.
 * @throws ValidationError
 */
export function spanOf(
  asked: { range: MetricsRange; from?: Date | null | undefined; to?: Date | null | undefined },
  now: Date,
): Span {
  if (!asked.from) {
    if (asked.to) throw invalid('from', 'must be given with to');
    const length = RANGES[asked.range];
    const bucketMs = bucketOf(length);
    const to = ceil(now.getTime() + 1, bucketMs);
    return span(to - length, to, bucketMs);
  }
  const to = (asked.to ?? now).getTime();
  const length = to - asked.from.getTime();
  if (length <= 0) throw invalid('to', 'must be after from');
  if (length > LONGEST_MS) throw invalid('from', 'must be at most 1,100 days before to');
  const bucketMs = bucketOf(length);
  return span(Math.floor(asked.from.getTime() / bucketMs) * bucketMs, ceil(to, bucketMs), bucketMs);
}

function bucketOf(lengthMs: number): number {
  return lengthMs <= DAY_MS ? MINUTE_MS : HOUR_MS;
}

function ceil(ms: number, bucketMs: number): number {
  return Math.ceil(ms / bucketMs) * bucketMs;
}

function span(from: number, to: number, bucketMs: number): Span {
  return { grain: bucketMs === MINUTE_MS ? 'MINUTE' : 'HOUR', from: new Date(from), to: new Date(to) };
}
