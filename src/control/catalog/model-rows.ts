import type { PriceComponents } from '../../gateway/ledger/prices.ts';
import type { StatedPrice } from '../../gateway/snapshot/snapshot.ts';
import type { ProviderKind } from '../../gateway/upstream/kinds.ts';
import { Prisma } from '../../generated/prisma/client.ts';
import { isUuid } from '../../platform/ids.ts';
import { storable } from '../../platform/storable.ts';
import type { Transaction } from '../schema/change-configuration.ts';
import type { Position } from '../schema/cursor.ts';
import { BY_POSITION, behind, type Order, sequence } from './model-order.ts';

/** A model with what may be shown of its provider to everybody. */
export interface CatalogModel {
  id: string;
  name: string;
  displayName: string;
  description: string | null;
  /** Null: unknown. */
  price: PriceComponents | null;
  priceSource: StatedPrice['source'] | null;
  contextTokens: number | null;
  maxOutputTokens: number | null;
  /** 0 to 100; null: unknown. */
  quality: number | null;
  isEnabled: boolean;
  version: number;
  discoveredAt: Date | null;
  missingSince: Date | null;
  createdAt: Date;
  updatedAt: Date;
  providerId: string;
  providerSlug: string;
  providerName: string;
  providerKind: ProviderKind;
}

/** A model of a sorted list, with where it stands there. */
export type ListedModel = CatalogModel & { sortValue: string | null };

/** Prisma, inside a transaction or not. */
type Client = Pick<Transaction, '$queryRaw'>;

const COLUMNS = Prisma.sql`m.id, m.name, m.display_name AS "displayName", m.description, v.components AS price,
  CASE WHEN m.override_price_version_id IS NOT NULL THEN 'OVERRIDE' WHEN v.id IS NOT NULL THEN 'CATALOG' END AS "priceSource",
  m.context_tokens AS "contextTokens", m.max_output_tokens AS "maxOutputTokens", m.quality, m.is_enabled AS "isEnabled",
  m.version, m.discovered_at AS "discoveredAt", m.missing_since AS "missingSince", m.created_at AS "createdAt", m.updated_at AS "updatedAt", p.id AS "providerId",
  p.slug AS "providerSlug", p.name AS "providerName", p.kind::text AS "providerKind"`;
const SOURCE = Prisma.sql`models m JOIN providers p ON p.id = m.provider_id
  LEFT JOIN price_versions v ON v.id = COALESCE(m.override_price_version_id, m.price_version_id)`;

/** The next `limit` models that fit `condition`, behind `after`. One statement. */
export function readModels(
  client: Client,
  condition: Prisma.Sql,
  order: Order,
  after: Position | null,
  limit: number,
): Promise<ListedModel[]> {
  return client.$queryRaw<ListedModel[]>(page(condition, order, after, limit));
}

/** The same for each of these providers, in the order of their positions. One statement, however many. */
export async function readModelsOfEach(
  client: Client,
  providerIds: string[],
  after: Position | null,
  limit: number,
): Promise<Map<string, ListedModel[]>> {
  const rows = await client.$queryRaw<ListedModel[]>`
    SELECT page.* FROM unnest(${providerIds}::uuid[]) AS wanted(id)
     CROSS JOIN LATERAL (${page(Prisma.sql`m.provider_id = wanted.id`, BY_POSITION, after, limit)}) AS page
     ORDER BY page."sortValue"::bigint, page.id`;
  const lists = new Map(providerIds.map((id) => [id, [] as ListedModel[]]));
  for (const row of rows) lists.get(row.providerId)?.push(row);
  return lists;
}

export async function countModels(client: Client, condition: Prisma.Sql): Promise<number> {
  const [row] = await client.$queryRaw<{ count: number }[]>`
    SELECT count(*)::int AS count FROM ${SOURCE} WHERE ${condition}`;
  return row?.count ?? 0;
}

/** How many models each of these providers has; those without any are left out. */
export async function countModelsOfEach(client: Client, providerIds: string[]): Promise<Map<string, number>> {
  const rows = await client.$queryRaw<{ id: string; count: number }[]>`
    SELECT provider_id AS id, count(*)::int AS count FROM models
     WHERE provider_id = ANY(${providerIds}::uuid[]) GROUP BY provider_id`;
  return new Map(rows.map(({ id, count }) => [id, count]));
}

/** @param idOrSlug a slug is `<provider slug>/<model name>` */
export async function findModel(client: Client, idOrSlug: string): Promise<CatalogModel | null> {
  const slash = idOrSlug.indexOf('/');
  if (!isUuid(idOrSlug) && slash < 1) return null;
  const condition = isUuid(idOrSlug)
    ? Prisma.sql`m.id = ${idOrSlug}::uuid`
    : Prisma.sql`p.slug = ${storable(idOrSlug.slice(0, slash))} AND m.name = ${storable(idOrSlug.slice(slash + 1))}`;
  const [model] = await client.$queryRaw<CatalogModel[]>`SELECT ${COLUMNS} FROM ${SOURCE} WHERE ${condition}`;
  return model ?? null;
}

/** `openai/gpt-4.1`: what completions put in `model` to get it. */
export function slugOf({ providerSlug, name }: Pick<CatalogModel, 'providerSlug' | 'name'>): string {
  return `${providerSlug}/${name}`;
}

function page(condition: Prisma.Sql, order: Order, after: Position | null, limit: number): Prisma.Sql {
  return Prisma.sql`SELECT ${COLUMNS}, (${order.key.sql})::text AS "sortValue" FROM ${SOURCE}
     WHERE ${condition} AND ${after ? behind(order, after) : Prisma.sql`true`}
     ORDER BY ${sequence(order)} LIMIT ${limit}`;
}
