import { nearestNames } from '../../gateway/routing/nearest.ts';
import { reassign } from '../../gateway/routing/slots.ts';
import type { ModelStrategy, Prisma, Provider, RouteTarget } from '../../generated/prisma/client.ts';
import { ProviderNotFoundError, shorten, ValidationError, type ValidationIssue } from '../../platform/errors.ts';
import { isUuid, uuidv7 } from '../../platform/ids.ts';
import { storable } from '../../platform/storable.ts';
import type { Transaction } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';
import { MAX_ISSUES } from '../schema/parse-input.ts';

/** A target as an input names it. */
export interface NamedTarget {
  /** Id or slug. */
  provider: string;
  models?: string[] | null | undefined;
  strategy?: ModelStrategy | null | undefined;
  priority?: number | null | undefined;
  weight?: number | null | undefined;
  metadata?: unknown;
}

/** A target whose provider and models are there. */
export interface WantedTarget extends Omit<NamedTarget, 'provider' | 'models'> {
  provider: FoundProvider;
  models: string[];
}

/** A provider with what says whether a target on it can be used. */
export type FoundProvider = Provider & {
  keys: { id: string }[];
  models: { name: string; isEnabled: boolean }[];
};

/** A target as it is stored, but for its route. */
export type TargetRow = Omit<RouteTarget, 'routeId'>;

const DEFAULT_PRIORITY = 100;
const EXISTING = { keys: { select: { id: true } }, models: { select: { name: true, isEnabled: true } } } as const;

/**
 * Looks up what the targets name: three statements, however many.
 * @throws ProviderNotFoundError; ValidationError, below `targets`, when a model is not in its provider's catalog or two
 *   targets are the same.
 */
export async function findTargets(
  tx: Transaction,
  { snapshots }: Pick<Services, 'snapshots'>,
  inputs: readonly NamedTarget[],
): Promise<WantedTarget[]> {
  const providers = await findProviders(
    tx,
    inputs.map(({ provider }) => provider),
  );
  const targets = inputs.map(({ provider: idOrSlug, models, ...rest }): WantedTarget => {
    const provider = providers.get(idOrSlug);
    if (provider) return { ...rest, provider, models: models ?? [] };
    throw new ProviderNotFoundError(idOrSlug, snapshots.current.providers);
  });
  const issues = [...unknownModels(targets), ...twins(targets)];
  if (issues.length > 0) throw new ValidationError(issues);
  return targets;
}

/**
 * The rows of these targets. One with the same provider and models as one that is there is the same: it keeps its id,
 * and what the input does not say. The slots of sticky keys are divided by the new weights.
 */
export function mergeTargets(existing: readonly RouteTarget[], wanted: readonly WantedTarget[]): TargetRow[] {
  const byKey = new Map(existing.map((target) => [keyOf(target), target]));
  const rows = wanted.map(({ provider, models, strategy, priority, weight, metadata }, position): TargetRow => {
    const old = byKey.get(keyOf({ providerId: provider.id, models }));
    return {
      id: old?.id ?? uuidv7(),
      position,
      providerId: provider.id,
      models,
      priority: priority ?? old?.priority ?? DEFAULT_PRIORITY,
      weight: weight ?? old?.weight ?? 1,
      strategy: strategy ?? old?.strategy ?? 'FAILOVER',
      slots: old?.slots ?? [],
      metadata: (metadata ?? old?.metadata ?? {}) as Prisma.JsonValue,
    };
  });
  return divideSlots(rows);
}

/** The same targets with the slots of sticky keys divided by their weights; as few slots change hands as can be. */
export function divideSlots(rows: readonly TargetRow[]): TargetRow[] {
  const slots = reassign(
    rows.map((row) => row.slots),
    rows.map(({ weight }) => weight),
  );
  return rows.map((row, place) => ({ ...row, slots: slots[place] ?? [] }));
}

/** Whether these targets are from before there were slots. */
export function hasNoSlots(targets: readonly { slots: number[] }[]): boolean {
  return targets.length > 0 && targets.every(({ slots }) => slots.length === 0);
}

/** Two statements, however many. */
export async function replaceTargets(tx: Transaction, routeId: string, rows: readonly TargetRow[]): Promise<void> {
  await tx.routeTarget.deleteMany({ where: { routeId } });
  await tx.routeTarget.createMany({
    data: rows.map((row) => ({ ...row, metadata: row.metadata as Prisma.InputJsonValue, routeId })),
  });
}

/** By id and by slug, as they were named. */
async function findProviders(tx: Transaction, idsOrSlugs: string[]): Promise<Map<string, FoundProvider>> {
  const ids = idsOrSlugs.filter(isUuid);
  const slugs = idsOrSlugs.filter((name) => !isUuid(name)).map(storable);
  const found = await tx.provider.findMany({
    where: { OR: [{ id: { in: ids } }, { slug: { in: slugs } }] },
    include: EXISTING,
  });
  const byName = new Map(found.flatMap((provider) => [[provider.id, provider] as const, [provider.slug, provider]]));
  // Ids may be written in capitals.
  return new Map(
    idsOrSlugs.flatMap((name) => {
      const provider = byName.get(isUuid(name) ? name.toLowerCase() : name);
      return provider ? [[name, provider] as const] : [];
    }),
  );
}

/** The first of them: whoever names thousands that are not there is not helped by all the names that look like them. */
function unknownModels(targets: readonly WantedTarget[]): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  for (const [index, { provider, models }] of targets.entries()) {
    const known = new Set(provider.models.map(({ name }) => name));
    for (const [place, model] of models.entries()) {
      if (known.has(model)) continue;
      if (issues.length === MAX_ISSUES) return issues;
      const nearest = nearestNames(model, known);
      const hint = nearest.length > 0 ? ` Did you mean ${nearest.join(', ')}?` : '';
      const message = `The provider "${provider.slug}" has no model "${shorten(model)}".${hint}`;
      issues.push({ path: `targets.${index}.models.${place}`, message });
    }
  }
  return issues;
}

function twins(targets: readonly WantedTarget[]): ValidationIssue[] {
  const keys = targets.map(({ provider, models }) => keyOf({ providerId: provider.id, models }));
  return keys.flatMap((key, index) =>
    keys.indexOf(key) < index
      ? [{ path: `targets.${index}`, message: 'is there twice: the same provider with the same models' }]
      : [],
  );
}

/** Targets are the same if they have provider and models in common; the order of the models does not count. */
function keyOf({ providerId, models }: Pick<RouteTarget, 'providerId' | 'models'>): string {
  return JSON.stringify([providerId, ...[...models].sort()]);
}
