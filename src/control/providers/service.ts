import { inferKind, PROVIDER_KINDS, type ProviderKind } from '../../gateway/upstream/kinds.ts';
import type { Provider } from '../../generated/prisma/client.ts';
import { ConflictError, ProviderNotFoundError, ValidationError } from '../../platform/errors.ts';
import { isUuid, uuidv7 } from '../../platform/ids.ts';
import { changeConfiguration, type Transaction } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';
import { parseInput } from '../schema/parse-input.ts';
import {
  type CreateProviderInput,
  createProviderInput,
  type SetProviderKeyInput,
  setProviderKeyInput,
  slugOf,
  type UpdateProviderInput,
  updateProviderInput,
} from './input.ts';
import { replaceKey } from './keys.ts';
import { writeModels } from './models.ts';

type ProviderServices = Pick<Services, 'prisma' | 'snapshots' | 'secretBox'>;

/** What the Prisma `where` of a lookup by id or slug is; a slug never looks like an id. */
export function byIdOrSlug(idOrSlug: string): { id: string } | { slug: string } {
  return isUuid(idOrSlug) ? { id: idOrSlug } : { slug: idOrSlug.replaceAll('\0', '') };
}

/** What a provider without its own base URL uses; null for the sandbox, which only the snapshot knows. */
export function resolveBaseUrl(provider: Pick<Provider, 'baseUrl' | 'kind'>): string | null {
  return provider.baseUrl ?? PROVIDER_KINDS[provider.kind].defaultBaseUrl;
}

/**
 * @returns the new provider's id. It is enabled, unless its kind needs a key and none was given, or the input says so.
 * @throws ValidationError, ConflictError when the slug is taken.
 */
export async function createProvider(services: ProviderServices, input: CreateProviderInput): Promise<string> {
  const wanted = parseInput(createProviderInput, input);
  const kind = wanted.kind ?? inferKind(wanted.baseUrl ?? null, wanted.name);
  requireBaseUrl(kind, wanted.baseUrl ?? null);
  const canServe = mayServe(kind, wanted.apiKey ? 1 : 0);
  if (wanted.isEnabled && !canServe) throw keyNeeded('apiKey', wanted.name);
  const id = uuidv7();
  const slug = wanted.slug ?? slugOf(wanted.name);
  await changeConfiguration(services, async (tx) => {
    await requireFreeSlug(tx, slug);
    await tx.provider.create({
      data: {
        id,
        slug,
        name: wanted.name,
        kind,
        baseUrl: wanted.baseUrl ?? null,
        isEnabled: wanted.isEnabled ?? canServe,
        ...(wanted.priority == null ? {} : { priority: wanted.priority }),
        ...(wanted.timeoutMs == null ? {} : { timeoutMs: wanted.timeoutMs }),
      },
    });
    if (wanted.apiKey) await replaceKey(tx, services.secretBox, id, wanted.apiKey);
    await writeModels(tx, id, wanted.models ?? []);
  });
  return id;
}

/**
 * Changes the fields that the input names, and adds or updates the models it names.
 * @returns the provider's id.
 * @throws ValidationError, ProviderNotFoundError, ConflictError when the version is stale or the slug taken.
 */
export async function updateProvider(services: ProviderServices, input: UpdateProviderInput): Promise<string> {
  const wanted = parseInput(updateProviderInput, input);
  return changeConfiguration(services, async (tx) => {
    const provider = await findProvider(tx, services, wanted.id);
    if (provider.version !== wanted.version)
      throw new ConflictError(
        `The provider "${provider.slug}" is at version ${provider.version}, not ${wanted.version}: read it again.`,
      );
    const kind = wanted.kind ?? provider.kind;
    const baseUrl = wanted.baseUrl === undefined ? provider.baseUrl : wanted.baseUrl;
    requireBaseUrl(kind, baseUrl);
    if (wanted.slug && wanted.slug !== provider.slug) await requireFreeSlug(tx, wanted.slug);
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
        kind,
        baseUrl,
        isEnabled,
        version: { increment: 1 },
      },
    });
    await writeModels(tx, provider.id, wanted.models ?? []);
    return provider.id;
  });
}

/**
 * Seals the key and puts it in the place of the one there was. The first key of a provider enables it.
 * @returns the provider's id.
 * @throws ValidationError, ProviderNotFoundError
 */
export async function setProviderKey(services: ProviderServices, input: SetProviderKeyInput): Promise<string> {
  const wanted = parseInput(setProviderKeyInput, input);
  return changeConfiguration(services, async (tx) => {
    const provider = await findProvider(tx, services, wanted.provider);
    await replaceKey(tx, services.secretBox, provider.id, wanted.key);
    const isFirst = provider.keys.length === 0;
    await tx.provider.update({
      where: { id: provider.id },
      data: { version: { increment: 1 }, ...(isFirst ? { isEnabled: true } : {}) },
    });
    return provider.id;
  });
}

export interface Activation {
  activeId: string;
  /** Null when no provider was active before. */
  previousId: string | null;
  switchedAt: Date;
  message: string;
}

/**
 * Makes a provider the active one, and sends the route `default` to it by clearing that route's targets.
 * @throws ProviderNotFoundError, ValidationError when the provider is disabled or lacks the key its kind needs.
 */
export async function activateProvider(services: ProviderServices, idOrSlug: string): Promise<Activation> {
  return changeConfiguration(services, async (tx) => {
    const provider = await findProvider(tx, services, idOrSlug);
    if (!mayServe(provider.kind, provider.keys.length)) throw keyNeeded('id', provider.slug);
    if (!provider.isEnabled)
      throw invalid('id', `The provider "${provider.slug}" is disabled; enable it first with updateProvider.`);
    const previousId = await activeProviderId(tx);
    await tx.configuration.update({ where: { id: 1 }, data: { activeProviderId: provider.id } });
    await tx.routeTarget.deleteMany({ where: { route: { slug: 'default' } } });
    const message =
      previousId === provider.id
        ? `${provider.name} was active already.`
        : `The route "default" now sends to ${provider.name}.`;
    return { activeId: provider.id, previousId, switchedAt: new Date(), message };
  });
}

async function findProvider(tx: Transaction, services: ProviderServices, idOrSlug: string) {
  const provider = await tx.provider.findUnique({
    where: byIdOrSlug(idOrSlug),
    include: { keys: { select: { id: true } } },
  });
  if (provider) return provider;
  throw new ProviderNotFoundError(
    idOrSlug,
    services.snapshots.current.providers.map(({ slug }) => slug),
  );
}

async function activeProviderId(tx: Transaction): Promise<string | null> {
  const configuration = await tx.configuration.findUniqueOrThrow({ where: { id: 1 } });
  return configuration.activeProviderId;
}

/** A route's name is looked up before a provider's, so a provider with the same slug could not be named. */
async function requireFreeSlug(tx: Transaction, slug: string): Promise<void> {
  const route = await tx.route.findFirst({ where: { OR: [{ slug }, { aliases: { has: slug } }] } });
  if (route) throw new ConflictError(`The slug "${slug}" is taken by a route; choose another one.`);
  const provider = await tx.provider.findUnique({ where: { slug } });
  if (provider) throw new ConflictError(`The slug "${slug}" is taken by the provider ${provider.name}.`);
}

async function requireInactive(tx: Transaction, provider: Provider): Promise<void> {
  if ((await activeProviderId(tx)) !== provider.id) return;
  throw invalid('isEnabled', `The provider "${provider.slug}" is the active one; activate another one first.`);
}

function requireBaseUrl(kind: ProviderKind, baseUrl: string | null): void {
  if (kind !== 'SANDBOX' && resolveBaseUrl({ kind, baseUrl }) === null)
    throw invalid('baseUrl', `must be given, because the kind ${kind} has no default`);
}

function mayServe(kind: ProviderKind, keyCount: number): boolean {
  return keyCount > 0 || PROVIDER_KINDS[kind].worksWithoutKey;
}

function keyNeeded(path: string, provider: string): ValidationError {
  return invalid(path, `The provider "${provider}" needs a key before it can be enabled; set one with setProviderKey.`);
}

function invalid(path: string, message: string): ValidationError {
  return new ValidationError([{ path, message }]);
}
