import type { Caller } from '../../gateway/admission/caller.ts';
import { choosesDialect, inferKind } from '../../gateway/upstream/kinds.ts';
import { uuidv7 } from '../../platform/ids.ts';
import { writeModels } from '../catalog/catalog.ts';
import { changeConfiguration } from '../schema/change-configuration.ts';
import { requireNoFallbackOnProvider } from '../schema/fallbacks.ts';
import { parseInput } from '../schema/parse-input.ts';
import { requireVersion } from '../schema/require-version.ts';
import { requireFreeNames, slugOf } from '../schema/slugs.ts';
import {
  findProvider,
  keyNeeded,
  mayServe,
  type ProviderServices,
  requireBaseUrl,
  requireInactive,
  requireKnownDialect,
} from './checks.ts';
import {
  type CreateProviderInput,
  createProviderInput,
  type UpdateProviderInput,
  updateProviderInput,
} from './input.ts';
import { storeKey } from './keys.ts';

/**
 * @returns the new provider's id. It is enabled, unless its kind needs a key and none was given, or the input says so.
 * @throws ValidationError, ConflictError when the slug is taken.
 */
export async function createProvider(
  services: ProviderServices,
  caller: Caller,
  input: CreateProviderInput,
): Promise<string> {
  const wanted = parseInput(createProviderInput, input);
  const kind = wanted.kind ?? inferKind(wanted.baseUrl ?? null, wanted.name);
  requireBaseUrl(kind, wanted.baseUrl ?? null);
  requireKnownDialect(kind, wanted.dialect ?? null);
  const canServe = mayServe(kind, wanted.apiKey ? 1 : 0);
  if (wanted.isEnabled && !canServe) throw keyNeeded('apiKey', wanted.name);
  const id = uuidv7();
  const slug = wanted.slug ?? slugOf(wanted.name, 'provider');
  await changeConfiguration(services, caller, async (tx, record) => {
    await requireFreeNames(tx, [slug]);
    await tx.provider.create({
      data: {
        id,
        slug,
        name: wanted.name,
        kind,
        dialect: choosesDialect(kind) ? (wanted.dialect ?? null) : null,
        baseUrl: wanted.baseUrl ?? null,
        region: wanted.region ?? null,
        isEnabled: wanted.isEnabled ?? canServe,
        isOpenToOwnKeys: wanted.isEnabled ?? true,
        ...(wanted.priority == null ? {} : { priority: wanted.priority }),
        ...(wanted.timeoutMs == null ? {} : { timeoutMs: wanted.timeoutMs }),
      },
    });
    if (wanted.apiKey) await storeKey(tx, services.secretBox, id, { key: wanted.apiKey });
    await writeModels(tx, id, wanted.models ?? [], 'OVERRIDE');
    record({ action: 'CREATED', subject: 'PROVIDER', id, name: slug });
  });
  return id;
}

/**
 * Changes the fields that the input names, and adds or updates the models it names.
 * @returns the provider's id.
 * @throws ValidationError, ProviderNotFoundError, ConflictError when the version is stale, the slug taken, or
 *   routes fall back on the provider by the slug that goes.
 */
export async function updateProvider(
  services: ProviderServices,
  caller: Caller,
  input: UpdateProviderInput,
): Promise<string> {
  const wanted = parseInput(updateProviderInput, input);
  return changeConfiguration(services, caller, async (tx, record) => {
    const provider = await findProvider(tx, services, wanted.id);
    requireVersion(`provider "${provider.slug}"`, provider.version, wanted.version);
    const kind = wanted.kind ?? provider.kind;
    const baseUrl = wanted.baseUrl === undefined ? provider.baseUrl : wanted.baseUrl;
    const dialect = wanted.dialect === undefined ? provider.dialect : wanted.dialect;
    requireBaseUrl(kind, baseUrl);
    requireKnownDialect(kind, wanted.dialect ?? null);
    if (wanted.slug && wanted.slug !== provider.slug) {
      await requireFreeNames(tx, [wanted.slug]);
      await requireNoFallbackOnProvider(tx, provider.slug);
    }
    const isEnabled = wanted.isEnabled ?? provider.isEnabled;
    if (isEnabled && !mayServe(kind, provider.keys.length)) throw keyNeeded('isEnabled', provider.slug);
    if (!isEnabled && provider.isEnabled) await requireInactive(tx, provider);
    await tx.provider.update({
      where: { id: provider.id },
      data: {
        ...(wanted.name == null ? {} : { name: wanted.name }),
        ...(wanted.slug == null ? {} : { slug: wanted.slug }),
        ...(wanted.priority == null ? {} : { priority: wanted.priority }),
        ...(wanted.timeoutMs == null ? {} : { timeoutMs: wanted.timeoutMs }),
        ...(wanted.region === undefined ? {} : { region: wanted.region }),
        kind,
        dialect: choosesDialect(kind) ? dialect : null,
        baseUrl,
        isEnabled,
        isOpenToOwnKeys: wanted.isOpenToOwnKeys ?? wanted.isEnabled ?? provider.isOpenToOwnKeys,
        version: { increment: 1 },
      },
    });
    await writeModels(tx, provider.id, wanted.models ?? [], 'OVERRIDE');
    record({ action: 'UPDATED', subject: 'PROVIDER', id: provider.id, name: wanted.slug ?? provider.slug });
    return provider.id;
  });
}
