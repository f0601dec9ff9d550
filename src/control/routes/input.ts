import { z } from 'zod';
import { isUuid } from '../../platform/ids.ts';
import { eachOnce, printable, text, whole } from '../schema/input-rules.ts';
import { slugInput } from '../schema/slugs.ts';

const MOST_ALIASES = 20;
export const MOST_TARGETS = 50;
const MOST_MODELS = 100;

const noneTwice = eachOnce((name: string) => name);
const name = text(100);
const description = text(1_000);
/** An alias may be what clients send already, such as a model's name. */
const alias = printable(200).refine((value) => !isUuid(value), 'must not look like an id');
const aliases = z.array(alias).max(MOST_ALIASES, `must be at most ${MOST_ALIASES}`).superRefine(noneTwice);
const mode = z.enum(['AUTO', 'SPECIFIC', 'MULTI']);
const strategy = z.enum(['FAILOVER', 'ROUND_ROBIN', 'WEIGHTED', 'COST', 'LATENCY', 'BALANCED', 'CUSTOM']);

/** What the targets of a route and of a traffic split have in common. */
export const targetInput = z.object({
  provider: z.string(),
  models: z.array(z.string()).max(MOST_MODELS, `must be at most ${MOST_MODELS}`).superRefine(noneTwice).nullish(),
  metadata: z.unknown().optional(),
});

const targets = z
  .array(
    targetInput.extend({
      priority: whole(0, 1_000_000).nullish(),
      weight: whole(0, 1_000_000).nullish(),
    }),
  )
  .max(MOST_TARGETS, `must be at most ${MOST_TARGETS}`);

/** What may be said of a route besides its name. */
const properties = {
  slug: slugInput.nullish(),
  description: description.nullish(),
  aliases: aliases.nullish(),
  mode: mode.nullish(),
  strategy: strategy.nullish(),
  isActive: z.boolean().nullish(),
  targets: targets.nullish(),
};

export const createRouteInput = z.object({ name, ...properties });

/** A field that is absent or null stays as it is, except `description: null`: none. */
export const updateRouteInput = z.object({
  id: z.string(),
  version: z.int().nullish(),
  name: name.nullish(),
  ...properties,
});

export type CreateRouteInput = z.input<typeof createRouteInput>;
export type UpdateRouteInput = z.input<typeof updateRouteInput>;
