import { z } from 'zod';
import type { Caller } from '../../gateway/admission/caller.ts';
import type { Explanation } from '../../gateway/routing/explain.ts';
import { POWER_LEVELS } from '../../gateway/routing/power-level.ts';
import {
  ForbiddenError,
  invalid,
  ModelNotFoundError,
  RouteNotFoundError,
  ValidationError,
} from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import type { Services } from '../schema/context.ts';
import { parseInput } from '../schema/parse-input.ts';
import { PowerLevelEnum } from '../schema/power-level.ts';
import { outcome } from '../schema/result.ts';
import { RoutingDecision } from './decision-type.ts';
import { servedRoute } from './lookup.ts';

const SelectRoute = builder.inputType('SelectRouteInput', {
  description: 'A request of which only the way is asked.',
  fields: (t) => ({
    routeId: t.id({ required: true, description: 'The route’s id, slug or alias. It is switched on.' }),
    hint: t.string({
      description:
        'What would stand behind the route’s name in `model`, up to 264 characters: a provider, a model, or both (`provider/model`). For routes in mode SPECIFIC.',
    }),
    powerLevel: t.field({
      type: PowerLevelEnum,
      description: 'That of the request. Default: your own setting (`mySettings`).',
    }),
    sessionKey: t.string({ description: 'That of the request, up to 200 characters. Default: none.' }),
  }),
});

const selectRouteInput = z.object({
  routeId: z.string(),
  hint: z.string().min(1, 'must not be empty').max(264, 'must be at most 264 characters').nullish(),
  powerLevel: z.enum(POWER_LEVELS).nullish(),
  sessionKey: z.string().min(1, 'must not be empty').max(200, 'must be at most 200 characters').nullish(),
});

builder.mutationField('selectRoute', (t) =>
  t.field({
    type: RoutingDecision,
    authScopes: { admin: true },
    description:
      'Tells what a streamed request of yours to a route would be sent to now by the server that answers, and counts as one: the next pick is the one after it. Nothing is sent. Admins only.',
    args: { input: t.arg({ type: SelectRoute, required: true, description: 'The route, and what is asked of it.' }) },
    errors: outcome(
      'decision',
      'What would be tried, and why.',
      ValidationError,
      RouteNotFoundError,
      ModelNotFoundError,
      ForbiddenError,
    ),
    resolve: (_root, { input }, { services, caller }) => selectRoute(services, caller, input),
  }),
);

/**
 * @throws ValidationError; RouteNotFoundError when no route of this name is switched on; ModelNotFoundError when nothing
 *   of it can be used; ForbiddenError when the caller's API key may not use it.
 */
function selectRoute(
  { gateway, snapshots }: Pick<Services, 'gateway' | 'snapshots'>,
  caller: Caller,
  input: z.input<typeof selectRouteInput>,
): Explanation {
  const { routeId, hint = null, powerLevel = null, sessionKey = null } = parseInput(selectRouteInput, input);
  const route = servedRoute(snapshots.current, routeId);
  if (hint !== null && route.mode !== 'SPECIFIC')
    throw invalid('hint', `must be left out, because the route "${route.slug}" is not in mode SPECIFIC`);
  return gateway.selectRoute(route, caller, { hint, powerLevel, sessionKey });
}
