import { z } from 'zod';
import { isUuid } from '../../platform/ids.ts';
import { eachOnce, jsonObjectUpTo, printable, text, whole } from '../schema/input-rules.ts';
import { slugInput } from '../schema/slugs.ts';

const MOST_ALIASES = 20;
export const MOST_TARGETS = 50;
const MOST_MODELS = 100;
const MOST_FALLBACKS = 10;
const MOST_REGIONS = 10;
const MOST_RETRIES = 10;
const CONFIG_BYTES = 16 * 1024;
const A_DAY_SECONDS = 86_400;

const noneTwice = eachOnce((name: string) => name);
const name = text(100);
const description = text(1_000);
/** An alias may be what clients send already, such as a model's name. */
const alias = printable(200).refine((value) => !isUuid(value), 'must not look like an id');
const aliases = z.array(alias).max(MOST_ALIASES, `must be at most ${MOST_ALIASES}`).superRefine(noneTwice);
const mode = z.enum(['AUTO', 'SPECIFIC', 'MULTI']);
const modelStrategy = z.enum(['FAILOVER', 'ROUND_ROBIN', 'COST', 'LATENCY', 'BALANCED']);
const strategy = z.enum([...modelStrategy.options, 'WEIGHTED', 'CUSTOM']);

/** What the targets of a route and of a traffic split have in common. */
export const targetInput = z.object({
  provider: z.string(),
  models: z.array(z.string()).max(MOST_MODELS, `must be at most ${MOST_MODELS}`).superRefine(noneTwice).nullish(),
  metadata: z.unknown().optional(),
});

const targets = z
  .array(
    targetInput.extend({
      strategy: modelStrategy.nullish(),
      priority: whole(0, 1_000_000).nullish(),
      weight: whole(0, 1_000_000).nullish(),
    }),
  )
  .max(MOST_TARGETS, `must be at most ${MOST_TARGETS}`);

const percent = whole(0, 100);
const scoreWeights = z
  .object({ cost: percent, latency: percent, quality: percent })
  .superRefine(({ cost, latency, quality }, context) => {
    const sum = cost + latency + quality;
    if (sum !== 100) context.addIssue(`must have a sum of 100, not ${sum}`);
  });

const timeoutMs = whole(100, 3_600_000);
/** A provider's slug, a slash and a model's name at most. */
const fallback = printable(264);
const fallbacks = z.array(fallback).max(MOST_FALLBACKS, `must be at most ${MOST_FALLBACKS}`).superRefine(noneTwice);
const regions = z.array(text(50)).max(MOST_REGIONS, `must be at most ${MOST_REGIONS}`).superRefine(noneTwice);

/** What may be said of a route besides its name. */
const properties = {
  slug: slugInput.nullish(),
  description: description.nullish(),
  aliases: aliases.nullish(),
  mode: mode.nullish(),
  strategy: strategy.nullish(),
  scoreWeights: scoreWeights.nullish(),
  allowsPowerLevel: z.boolean().nullish(),
  stickyBy: z.enum(['SESSION', 'USER', 'API_KEY']).nullish(),
  maxRetries: whole(0, MOST_RETRIES).nullish(),
  totalTimeoutMs: timeoutMs.nullish(),
  firstTokenTimeoutMs: timeoutMs.nullish(),
  stallTimeoutMs: timeoutMs.nullish(),
  fallbacks: fallbacks.nullish(),
  preferredRegions: regions.nullish(),
  restartPolicy: z.enum(['NEVER', 'OTHER_TARGET']).nullish(),
  refusalPolicy: z.enum(['PROPAGATE', 'OTHER_TARGET']).nullish(),
  cacheTtlSeconds: whole(1, A_DAY_SECONDS).nullish(),
  config: jsonObjectUpTo(CONFIG_BYTES).nullish(),
  isActive: z.boolean().nullish(),
  targets: targets.nullish(),
};

export const createRouteInput = z.object({ name, ...properties });

/** What is absent stays as it is, and so does what is null, except where a column may be null: then it is. */
export const updateRouteInput = z.object({
  id: z.string(),
  version: z.int().nullish(),
  name: name.nullish(),
  ...properties,
});

/** What both inputs say of a route, after parsing. */
export type RouteProperties = Omit<z.output<typeof updateRouteInput>, 'id' | 'version'>;
export type CreateRouteInput = z.input<typeof createRouteInput>;
export type UpdateRouteInput = z.input<typeof updateRouteInput>;
