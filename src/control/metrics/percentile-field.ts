import type { Percentiles } from './rollup-query.ts';

/** The options of a field for a percentile of latencies, of which all are read when the first is asked for. */
export function percentile(name: keyof Percentiles, share: string) {
  return {
    nullable: true,
    description: `${share} of them took at most this long, in milliseconds, within 5%.`,
    resolve: async ({ percentiles }: { percentiles: () => Promise<Percentiles | undefined> }) =>
      (await percentiles())?.[name],
  } as const;
}
