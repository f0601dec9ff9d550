import type { ListedModel } from '../../gateway/upstream/model-list.ts';
import { uuidv7 } from '../../platform/ids.ts';
import type { Transaction } from '../schema/change-configuration.ts';

/** What a provider's own list changed in the catalog. */
export interface Discovered {
  /** Models in the list. */
  listed: number;
  added: number;
  updated: number;
  /** Discovered earlier, and not in the list any more; they stay in the catalog. */
  missing: number;
}

/**
 * Takes a provider's own list into the catalog: models that are new are added behind the others, enabled and marked as
 * discovered; of those that were discovered earlier the limits are brought up to date. What was seeded, or created by an
 * admin, stays as it is. Three statements, however many.
 */
export async function writeDiscovered(
  tx: Transaction,
  providerId: string,
  listed: readonly ListedModel[],
): Promise<Discovered> {
  // A list may name a model twice; a statement may not write a row twice.
  const byName = new Map(listed.map((model) => [model.name, model]));
  const rows = [...byName.values()].map((model, place) => ({
    id: uuidv7(),
    name: model.name,
    display_name: model.displayName ?? model.name,
    context_tokens: model.contextTokens,
    max_output_tokens: model.maxOutputTokens,
    place,
  }));
  const written = await tx.$queryRaw<{ added: boolean }[]>`
    INSERT INTO models (id, provider_id, name, display_name, context_tokens, max_output_tokens, position, discovered_at)
    SELECT m.id, ${providerId}::uuid, m.name, m.display_name, m.context_tokens, m.max_output_tokens,
           last.position + 1 + m.place, now()
      FROM jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
           AS m(id uuid, name text, display_name text, context_tokens int, max_output_tokens int, place int),
           (SELECT COALESCE(max(position), 99) AS position FROM models WHERE provider_id = ${providerId}::uuid) AS last
        ON CONFLICT (provider_id, name) DO UPDATE
       SET context_tokens = COALESCE(EXCLUDED.context_tokens, models.context_tokens),
           max_output_tokens = COALESCE(EXCLUDED.max_output_tokens, models.max_output_tokens),
           missing_since = NULL, version = models.version + 1, updated_at = now()
     WHERE models.discovered_at IS NOT NULL
       AND (models.missing_since IS NOT NULL
            OR EXCLUDED.context_tokens IS DISTINCT FROM models.context_tokens AND EXCLUDED.context_tokens IS NOT NULL
            OR EXCLUDED.max_output_tokens IS DISTINCT FROM models.max_output_tokens
               AND EXCLUDED.max_output_tokens IS NOT NULL)
     RETURNING (xmax = 0) AS added`;
  const missing = await tx.$executeRaw`
    UPDATE models SET missing_since = now(), version = version + 1, updated_at = now()
     WHERE provider_id = ${providerId}::uuid AND discovered_at IS NOT NULL AND missing_since IS NULL
       AND name <> ALL (${[...byName.keys()]}::text[])`;
  const added = written.filter((row) => row.added).length;
  return { listed: byName.size, added, updated: written.length - added, missing };
}
