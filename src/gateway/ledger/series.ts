import type pg from 'pg';
import { sha256Hex } from '../../platform/crypto.ts';
import type { SettledAttempt, SettledCompletion } from './open-completions.ts';
import type { RequestStatus } from './records.ts';

const CACHED_SERIES = 10_000;

/** What metrics are filtered and grouped by; the names are the columns of `rollup_series`. */
export interface Series {
  /** What is summed: whole completions, or the upstream calls they consist of. */
  subject: 'COMPLETION' | 'ATTEMPT';
  status: RequestStatus;
  user_id: string | null;
  api_key_id: string | null;
  route_id: string | null;
  /** Null: usage made elsewhere, with a provider that was not known. */
  provider_id: string | null;
  provider_slug: string;
  model: string;
  target_id: string | null;
}

/** A completion's series: the provider and the model are those of its last attempt. */
export function seriesOfCompletion({ origin, outcome }: SettledCompletion): Series {
  return {
    subject: 'COMPLETION',
    status: outcome.status,
    user_id: origin.userId,
    api_key_id: origin.apiKeyId,
    route_id: origin.routeId,
    provider_id: outcome.providerId,
    provider_slug: outcome.providerSlug,
    model: outcome.model,
    target_id: outcome.targetId,
  };
}

/**
 * An attempt's series. The model is the one that answered, else the one that was asked for: the rule for completions,
 * so that one filter means the same for both.
 */
export function seriesOfAttempt({ intent, outcome }: SettledAttempt): Series {
  return {
    subject: 'ATTEMPT',
    status: outcome.status,
    user_id: intent.origin.userId,
    api_key_id: intent.origin.apiKeyId,
    route_id: intent.origin.routeId,
    provider_id: intent.providerId,
    provider_slug: intent.providerSlug,
    model: outcome.answeredModel ?? intent.model,
    target_id: intent.targetId,
  };
}

/** What decides where usage that was made elsewhere is summed. */
export interface UsagePlace {
  userId: string;
  apiKeyId: string | null;
  /** Null: it was not known. */
  providerId: string | null;
  providerSlug: string;
  model: string;
}

/** The series of usage that was made elsewhere: it counts as a completion with one attempt, which succeeded. */
export function seriesOfUsage({ userId, apiKeyId, providerId, providerSlug, model }: UsagePlace): Series[] {
  return (['COMPLETION', 'ATTEMPT'] as const).map((subject) => ({
    ...{ subject, status: 'SUCCEEDED', user_id: userId, api_key_id: apiKeyId, route_id: null },
    ...{ provider_id: providerId, provider_slug: providerSlug, model, target_id: null },
  }));
}

/** The ids of roll-up series, the latest used ones in memory. */
export class SeriesIds {
  /** By name, least recently used first. */
  readonly #ids = new Map<string, string>();

  /**
   * The id of each series, in the same order; those that are new get their row.
   * Commits by itself, so that no id is remembered that a rollback took back.
   */
  async of(client: Pick<pg.ClientBase, 'query'>, series: readonly Series[]): Promise<string[]> {
    const names = series.map(nameOf);
    const missing = new Map<string, Series>();
    for (const [index, name] of names.entries()) {
      if (!this.#touch(name)) missing.set(name, series[index] as Series);
    }
    const found = missing.size > 0 ? await upsert(client, missing) : new Map<string, string>();
    const ids = names.map((name) => found.get(name) ?? (this.#ids.get(name) as string));
    for (const [name, id] of found) this.#remember(name, id);
    return ids;
  }

  #touch(name: string): boolean {
    const id = this.#ids.get(name);
    if (id === undefined) return false;
    this.#ids.delete(name);
    this.#ids.set(name, id);
    return true;
  }

  #remember(name: string, id: string): void {
    this.#ids.set(name, id);
    if (this.#ids.size <= CACHED_SERIES) return;
    const oldest = this.#ids.keys().next().value;
    if (oldest !== undefined) this.#ids.delete(oldest);
  }
}

/** The canonical text of a series; its hash is the row's key, so that of a series that exists must never change. */
function nameOf(series: Series): string {
  const { subject, status, user_id, api_key_id, route_id, provider_id, provider_slug, model, target_id } = series;
  const name = [subject, status, user_id, api_key_id, route_id, provider_id, provider_slug, model];
  return JSON.stringify(target_id === null ? name : [...name, target_id]);
}

async function upsert(
  client: Pick<pg.ClientBase, 'query'>,
  missing: ReadonlyMap<string, Series>,
): Promise<Map<string, string>> {
  const keys = new Map([...missing.keys()].map((name) => [name, sha256Hex(name)]));
  const rows = [...missing].map(([name, series]) => ({ ...series, key: keys.get(name) as string }));
  // Servers that add the same series at the same time wait for each other in one order.
  rows.sort((a, b) => (a.key < b.key ? -1 : 1));
  await client.query(ADD_SERIES, [JSON.stringify(rows)]);
  const { rows: ids } = await client.query<{ key: string; id: string }>(
    'SELECT key, id::text FROM rollup_series WHERE key = ANY($1)',
    [[...keys.values()]],
  );
  const byKey = new Map(ids.map(({ key, id }) => [key, id]));
  return new Map([...keys].map(([name, key]) => [name, byKey.get(key) as string]));
}

const COLUMNS = {
  key: 'text',
  subject: '"RollupSubject"',
  status: '"RequestStatus"',
  user_id: 'uuid',
  api_key_id: 'uuid',
  route_id: 'uuid',
  provider_id: 'uuid',
  provider_slug: 'text',
  model: 'text',
  target_id: 'uuid',
} satisfies Record<'key' | keyof Series, string>;

const NAMES = Object.keys(COLUMNS).join(', ');
const TYPED = Object.entries(COLUMNS).map(([name, type]) => `${name} ${type}`);

const ADD_SERIES = `
  INSERT INTO rollup_series (${NAMES})
  SELECT ${NAMES} FROM json_to_recordset($1) AS series (${TYPED.join(', ')})
  ON CONFLICT (key) DO NOTHING`;
