import type { Caller } from '../../gateway/admission/caller.ts';
import { nearestNames } from '../../gateway/routing/nearest.ts';
import { ConflictError, ModelNotFoundError, ProviderNotFoundError, shorten } from '../../platform/errors.ts';
import { byIdOrSlug } from '../schema/by-id-or-slug.ts';
import { changeConfiguration, type Transaction } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';
import { requireNoFallbackOnModel } from '../schema/fallbacks.ts';
import { listNames } from '../schema/list-names.ts';
import { parseInput } from '../schema/parse-input.ts';
import { requireVersion } from '../schema/require-version.ts';
import { type CreateModelInput, createModelInput, type UpdateModelInput, updateModelInput } from './input.ts';
import { type CatalogModel, findModel, slugOf } from './model-rows.ts';
import { writeModels } from './write-models.ts';

type CatalogServices = Pick<Services, 'prisma' | 'snapshots'>;

/**
 * Adds a model behind the others of its provider.
 * @throws ValidationError, ProviderNotFoundError, ConflictError when the provider has a model of this name.
 */
export async function createModel(
  services: CatalogServices,
  caller: Caller,
  input: CreateModelInput,
): Promise<CatalogModel> {
  const { provider: idOrSlug, ...wanted } = parseInput(createModelInput, input);
  return changeConfiguration(services, caller, async (tx, record) => {
    const provider = await tx.provider.findUnique({ where: byIdOrSlug(idOrSlug) });
    if (!provider) throw new ProviderNotFoundError(idOrSlug, services.snapshots.current.providers);
    const slug = slugOf({ providerSlug: provider.slug, name: wanted.name });
    if (await findModel(tx, slug))
      throw new ConflictError(`The provider "${provider.slug}" has a model "${wanted.name}" already.`);
    await writeModels(tx, provider.id, [wanted], 'OVERRIDE');
    const model = await requireModel(tx, services, slug);
    record({ action: 'CREATED', subject: 'MODEL', id: model.id, name: slug });
    return model;
  });
}

/**
 * Changes the fields that the input names. The name is none of them: routes and the ledger know the model by it.
 * @throws ValidationError, ModelNotFoundError, ConflictError when the version is stale.
 */
export async function updateModel(
  services: CatalogServices,
  caller: Caller,
  input: UpdateModelInput,
): Promise<CatalogModel> {
  const { id, version, ...wanted } = parseInput(updateModelInput, input);
  return changeConfiguration(services, caller, async (tx, record) => {
    const model = await requireModel(tx, services, id);
    const slug = slugOf(model);
    requireVersion(`model "${slug}"`, model.version, version);
    await writeModels(tx, model.providerId, [{ ...wanted, name: model.name }], 'OVERRIDE');
    record({ action: 'UPDATED', subject: 'MODEL', id: model.id, name: slug });
    return requireModel(tx, services, model.id);
  });
}

/**
 * Takes a model out of the catalog. What it has cost stays in the ledger, with its price.
 * @returns the model as it was.
 * @throws ModelNotFoundError, ConflictError while a route sends to it or falls back on it by name, which would go nowhere.
 */
export async function deleteModel(services: CatalogServices, caller: Caller, idOrSlug: string): Promise<CatalogModel> {
  return changeConfiguration(services, caller, async (tx, record) => {
    const model = await requireModel(tx, services, idOrSlug);
    const routes = await tx.route.findMany({
      where: { targets: { some: { providerId: model.providerId, models: { has: model.name } } } },
      select: { slug: true },
      orderBy: { slug: 'asc' },
    });
    if (routes.length > 0) throw namedBy(model, routes);
    await requireNoFallbackOnModel(tx, model);
    await tx.model.delete({ where: { id: model.id } });
    record({ action: 'DELETED', subject: 'MODEL', id: model.id, name: slugOf(model) });
    return model;
  });
}

async function requireModel(tx: Transaction, services: CatalogServices, idOrSlug: string): Promise<CatalogModel> {
  const model = await findModel(tx, idOrSlug);
  if (model) return model;
  const slugs = services.snapshots.current.providers.flatMap(({ slug, models }) =>
    models.map(({ name }) => slugOf({ providerSlug: slug, name })),
  );
  const message = `There is no model "${shorten(idOrSlug)}" in the catalog.`;
  throw new ModelNotFoundError(message, nearestNames(idOrSlug, slugs));
}

function namedBy(model: CatalogModel, routes: { slug: string }[]): ConflictError {
  const names = listNames(routes.map(({ slug }) => slug));
  return new ConflictError(
    `The model "${slugOf(model)}" is named by targets of the routes ${names}; take it out of them first, or disable it.`,
  );
}
