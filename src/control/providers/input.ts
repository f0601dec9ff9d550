import { z } from 'zod';
import { PROVIDER_KINDS, type ProviderKind } from '../../gateway/upstream/kinds.ts';
import { modelsInput } from '../catalog/catalog.ts';
import { printable, text, whole } from '../schema/input-rules.ts';
import { slugInput } from '../schema/slugs.ts';

const name = text(100);
const baseUrl = z.string().max(500, 'must be at most 500 characters').transform(normalizeBaseUrl);
export const providerKey = printable(4_096);
const priority = whole(0, 1_000_000);
const timeoutMs = whole(1_000, 3_600_000);

const kind = z.enum(Object.keys(PROVIDER_KINDS) as [ProviderKind, ...ProviderKind[]]);

/** What may be said of a provider besides its name. */
const properties = {
  slug: slugInput.nullish(),
  kind: kind.nullish(),
  dialect: z.enum(['OPENAI', 'ANTHROPIC', 'GEMINI']).nullish(),
  baseUrl: baseUrl.nullish(),
  isEnabled: z.boolean().nullish(),
  priority: priority.nullish(),
  timeoutMs: timeoutMs.nullish(),
  region: text(50).nullish(),
  models: modelsInput.nullish(),
};

export const createProviderInput = z.object({ name, apiKey: providerKey.nullish(), ...properties });

/** A field that is absent or null stays as it is, except `baseUrl: null` and `dialect: null`: the kind's
 * default, and `region: null`: not said. */
export const updateProviderInput = z.object({
  id: z.string(),
  version: z.int().nullish(),
  name: name.nullish(),
  isOpenToOwnKeys: z.boolean().nullish(),
  ...properties,
});

export const setProviderKeyInput = z
  .object({
    provider: z.string(),
    key: providerKey.nullish(),
    name: name.nullish(),
    weight: whole(1, 1_000).nullish(),
  })
  .refine(({ key, weight }) => key != null || weight != null, { path: ['key'], error: 'must be given, or a weight' });

export type CreateProviderInput = z.input<typeof createProviderInput>;
export type UpdateProviderInput = z.input<typeof updateProviderInput>;
export type SetProviderKeyInput = z.input<typeof setProviderKeyInput>;

function normalizeBaseUrl(value: string, context: z.RefinementCtx): string {
  const url = URL.canParse(value) ? new URL(value) : null;
  const problem = problemOf(url);
  if (url && !problem) return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  context.addIssue(problem ?? 'must be an address such as https://api.example.com/v1');
  return z.NEVER;
}

/** A key in the user part or the query of an address would be shown and logged. */
function problemOf(url: URL | null): string | null {
  if (!url) return null;
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must begin with https:// or http://';
  if (url.username || url.password) return 'must not contain credentials; give the key as the key';
  if (/[?#]/.test(url.href)) return 'must not contain a query or a fragment';
  return null;
}
