import { invalid } from '../../platform/errors.ts';

const LONGEST_MS = 366 * 86_400_000;
const DEFAULT_MS = 30 * 86_400_000;

/** From `from` to before `to`. */
export interface UseSpan {
  from: Date;
  to: Date;
}

/**
 * @param asked what is left out: the 30 days before `to`, which is now
 * @param path of the fields
 * @throws ValidationError when it is empty or longer than 366 days.
 */
export function useSpan(asked: { from?: Date | null; to?: Date | null }, now: Date, path = ''): UseSpan {
  const to = asked.to ?? now;
  const from = asked.from ?? new Date(Number(to) - DEFAULT_MS);
  if (from >= to) throw invalid(`${path}to`, 'must be after from');
  if (Number(to) - Number(from) > LONGEST_MS) throw invalid(`${path}from`, 'must be at most 366 days before to');
  return { from, to };
}
