import type pg from 'pg';
import type { SeriesId } from '../../gateway/ledger/correct.ts';
import { type Series, SeriesIds } from '../../gateway/ledger/series.ts';

/** Finds the ids of series that something was summed in before. */
export async function seriesIdsOf(client: Pick<pg.ClientBase, 'query'>, series: readonly Series[]): Promise<SeriesId> {
  const ids = await new SeriesIds().of(client, series);
  const byKey = new Map(series.map((one, index) => [JSON.stringify(one), ids[index] as string]));
  return (one) => byKey.get(JSON.stringify(one)) as string;
}
