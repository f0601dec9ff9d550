import type pg from 'pg';
import { sha256Hex } from '../../platform/crypto.ts';
import type { SettledCompletion } from './open-completions.ts';

const CACHED_SERIES = 10_000;

/** What metrics are filtered and grouped by. */
interface Series {
  key: string;
  status: string;
  user_id: string | null;
  api_key_id: string | null;
  route_id: string | null;
  provider_slug: string | null;
  model: string | null;
}

/** The ids of roll-up series, the latest used ones in memory. */
export class SeriesIds {
  /** By name, least recently used first. */
  readonly #ids = new Map<string, string>();

  /**
   * The series id of each completion; series that are new get their row.
   * Commits by itself, so that no id is remembered that a rollback took back.
   */
  async of(client: pg.ClientBase, completions: readonly SettledCompletion[]): Promise<string[]> {
    const names = completions.map(seriesName);
    const missing = new Set(names.filter((name) => !this.#touch(name)));
    const found = missing.size > 0 ? await upsert(client, [...missing]) : new Map<string, string>();
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

/** The canonical text of a series; its hash is the row's key. */
function seriesName({ origin, outcome }: SettledCompletion): string {
  return JSON.stringify([
    outcome.status,
    origin.userId,
    origin.apiKeyId,
    origin.routeId,
    outcome.providerSlug,
    outcome.model,
  ]);
}

function seriesOf(name: string): Series {
  const [status, user_id, api_key_id, route_id, provider_slug, model] = JSON.parse(name);
  return { key: sha256Hex(name), status, user_id, api_key_id, route_id, provider_slug, model };
}

async function upsert(client: pg.ClientBase, names: readonly string[]): Promise<Map<string, string>> {
  const series = names.map((name) => ({ name, ...seriesOf(name) }));
  // Servers that add the same series at the same time wait for each other in one order.
  const rows = JSON.stringify(series.map(({ name: _, ...row }) => row).sort((a, b) => (a.key < b.key ? -1 : 1)));
  await client.query(
    `INSERT INTO rollup_series (key, status, user_id, api_key_id, route_id, provider_slug, model)
     SELECT key, status, user_id, api_key_id, route_id, provider_slug, model FROM json_to_recordset($1) AS series
       (key text, status "RequestStatus", user_id uuid, api_key_id uuid, route_id uuid, provider_slug text, model text)
     ON CONFLICT (key) DO NOTHING`,
    [rows],
  );
  const { rows: ids } = await client.query<{ key: string; id: string }>(
    'SELECT key, id::text FROM rollup_series WHERE key = ANY($1)',
    [series.map(({ key }) => key)],
  );
  const byKey = new Map(ids.map(({ key, id }) => [key, id]));
  return new Map(series.map(({ name, key }) => [name, byKey.get(key) as string]));
}
