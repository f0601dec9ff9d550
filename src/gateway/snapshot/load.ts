import type { Pool, PoolClient } from 'pg';
import type { SecretBox } from '../../platform/crypto.ts';
import type { Log } from '../../platform/log.ts';
import { type PriceComponents, priceVersion } from '../ledger/prices.ts';
import type { DialectName } from '../upstream/dialect.ts';
import { dialectOf, PROVIDER_KINDS, type ProviderKind } from '../upstream/kinds.ts';
import { indexModels } from './index-models.ts';
import { systemKeyContext } from './seal-context.ts';
import type { ModelEntry, ProviderEntry, ProviderKey, RouteEntry, Snapshot } from './snapshot.ts';

export interface SnapshotSource {
  pool: Pool;
  secretBox: SecretBox;
  /** Where this server's own sandbox speaks each dialect. */
  sandboxUrls: Readonly<Record<DialectName, string>>;
  log: Log;
}

interface ProviderRow {
  id: string;
  slug: string;
  name: string;
  kind: ProviderKind;
  dialect: DialectName | null;
  base_url: string | null;
  is_enabled: boolean;
  is_open_to_own_keys: boolean;
  priority: number;
  timeout_ms: number;
  region: string | null;
}

interface KeyRow {
  id: string;
  provider_id: string;
  ciphertext: Buffer;
  master_key_version: number;
  weight: number;
}

interface ModelRow {
  id: string;
  provider_id: string;
  name: string;
  components: PriceComponents | null;
  is_override: boolean;
  context_tokens: number | null;
  max_output_tokens: number | null;
  quality: number | null;
  is_enabled: boolean;
}

type RouteRow = Omit<RouteEntry, 'scoreWeights'> & {
  costWeight: number | null;
  latencyWeight: number | null;
  qualityWeight: number | null;
};

/** The version alone: one row. */
export async function readConfigurationVersion(pool: Pool): Promise<bigint> {
  const { rows } = await pool.query<{ version: string }>('SELECT version FROM configuration WHERE id = 1');
  return BigInt(rows[0]?.version ?? 0);
}

/** Reads the whole configuration in one REPEATABLE READ transaction, so that its parts belong together. */
export async function loadSnapshot(source: SnapshotSource): Promise<Snapshot> {
  const client = await source.pool.connect();
  let failure: Error | undefined;
  try {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const snapshot = await read(client, source);
    await client.query('COMMIT');
    return snapshot;
  } catch (error) {
    failure = error as Error;
    throw error;
  } finally {
    // A client whose transaction failed half-way is not given back to the pool.
    client.release(failure);
  }
}

async function read(client: PoolClient, source: SnapshotSource): Promise<Snapshot> {
  const head = await client.query<{ version: string; active_provider_id: string | null }>(
    'SELECT version, active_provider_id FROM configuration WHERE id = 1',
  );
  const providerRows = await client.query<ProviderRow>(
    `SELECT id, slug, name, kind::text, dialect::text, base_url, is_enabled, is_open_to_own_keys, priority,
            timeout_ms, region
       FROM providers ORDER BY priority, slug`,
  );
  const keyRows = await client.query<KeyRow>(
    'SELECT id, provider_id, ciphertext, master_key_version, weight FROM provider_keys ORDER BY id',
  );
  const modelRows = await client.query<ModelRow>(
    `SELECT m.id, m.provider_id, m.name, p.components, m.override_price_version_id IS NOT NULL AS is_override,
            m.context_tokens, m.max_output_tokens, m.quality, m.is_enabled
       FROM models m LEFT JOIN price_versions p ON p.id = COALESCE(m.override_price_version_id, m.price_version_id)
      ORDER BY m.position, m.id`,
  );
  const routeRows = await client.query<RouteRow>(
    `SELECT r.id, r.slug, COALESCE(r.aliases, '{}') AS aliases, r.mode::text, r.strategy::text, r.version,
            r.cost_weight AS "costWeight", r.latency_weight AS "latencyWeight", r.quality_weight AS "qualityWeight",
            r.allows_power_level AS "allowsPowerLevel", r.sticky_by::text AS "stickyBy", r.max_retries AS "maxRetries",
            r.total_timeout_ms AS "totalTimeoutMs", r.first_token_timeout_ms AS "firstTokenTimeoutMs",
            r.stall_timeout_ms AS "stallTimeoutMs", COALESCE(r.fallbacks, '{}') AS fallbacks,
            COALESCE(r.preferred_regions, '{}') AS "preferredRegions", r.restart_policy::text AS "restartPolicy",
            r.refusal_policy::text AS "refusalPolicy", r.cache_ttl_seconds AS "cacheTtlSeconds",
            COALESCE((SELECT json_agg(json_build_object('id', t.id, 'providerId', t.provider_id,
                                        'models', COALESCE(t.models, '{}'), 'priority', t.priority, 'weight', t.weight,
                                        'strategy', t.strategy, 'slots', COALESCE(t.slots, '{}'))
                                      ORDER BY t.priority, t.position, t.id)
                        FROM route_targets t WHERE t.route_id = r.id), '[]') AS targets
       FROM routes r WHERE r.is_active ORDER BY r.slug`,
  );
  await source.secretBox.learn(keyRows.rows.map((row) => row.master_key_version));
  const keys = groupByProvider(keyRows.rows);
  const models = groupByProvider(modelRows.rows);
  const providers = providerRows.rows.map((row) =>
    toProvider(row, keys.get(row.id) ?? [], models.get(row.id) ?? [], source),
  );
  return {
    version: BigInt(head.rows[0]?.version ?? 0),
    activeProviderId: head.rows[0]?.active_provider_id ?? null,
    providers,
    providersById: new Map(providers.map((provider) => [provider.id, provider])),
    providersBySlug: new Map(providers.map((provider) => [provider.slug, provider])),
    modelsByName: indexModels(providers),
    routes: byName(routeRows.rows.map(toRoute)),
  };
}

function toProvider(row: ProviderRow, keys: KeyRow[], models: ModelRow[], source: SnapshotSource): ProviderEntry {
  const dialect = dialectOf({ kind: row.kind, dialect: row.dialect, baseUrl: row.base_url });
  const ofKind = row.kind === 'SANDBOX' ? source.sandboxUrls[dialect] : PROVIDER_KINDS[row.kind].defaultBaseUrl;
  const address = row.base_url ?? ofKind ?? '';
  // An address that is none (edited by hand in the database) makes the provider unusable, not the snapshot.
  const url = URL.canParse(address) ? new URL(address) : null;
  const baseUrl = url ? address.replace(/\/+$/, '') : '';
  return {
    id: row.id,
    slug: row.slug,
    name: row.name,
    kind: row.kind,
    dialect,
    baseUrl,
    origin: url?.origin ?? '',
    basePath: url ? url.pathname.replace(/\/+$/, '') : '',
    isEnabled: row.is_enabled,
    isOpenToOwnKeys: row.is_open_to_own_keys,
    priority: row.priority,
    timeoutMs: row.timeout_ms,
    region: row.region,
    keys: keys.flatMap((key) => openKey(key, source)),
    models: models.map(toModel),
  };
}

/** A key that cannot be opened (a master key is missing) leaves its provider without it; the others still serve. */
function openKey(row: KeyRow, source: SnapshotSource): ProviderKey[] {
  const { id, provider_id: providerId, ciphertext, master_key_version: masterKeyVersion, weight } = row;
  try {
    const context = systemKeyContext({ id, providerId });
    return [{ id, secret: source.secretBox.open({ ciphertext, masterKeyVersion }, context, id), weight }];
  } catch (error) {
    source.log.error({ err: error, providerKeyId: row.id }, 'a stored provider key could not be decrypted');
    return [];
  }
}

function toModel(row: ModelRow): ModelEntry {
  return {
    id: row.id,
    name: row.name,
    price: row.components && { ...priceVersion(row.components), source: row.is_override ? 'OVERRIDE' : 'CATALOG' },
    contextTokens: row.context_tokens,
    maxOutputTokens: row.max_output_tokens,
    quality: row.quality,
    isEnabled: row.is_enabled,
  };
}

function groupByProvider<Row extends { provider_id: string }>(rows: Row[]): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(row.provider_id);
    if (group) group.push(row);
    else groups.set(row.provider_id, [row]);
  }
  return groups;
}

function toRoute({ costWeight, latencyWeight, qualityWeight, ...row }: RouteRow): RouteEntry {
  const isCustom = row.strategy === 'CUSTOM';
  const weights = { cost: costWeight ?? 0, latency: latencyWeight ?? 0, quality: qualityWeight ?? 0 };
  return { ...row, scoreWeights: isCustom ? weights : null };
}

function byName(rows: RouteEntry[]): Map<string, RouteEntry> {
  const routes = new Map<string, RouteEntry>();
  for (const row of rows) for (const alias of row.aliases) routes.set(alias, row);
  for (const row of rows) routes.set(row.slug, row);
  return routes;
}
