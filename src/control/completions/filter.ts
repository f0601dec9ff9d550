import type { Caller } from '../../gateway/admission/caller.ts';
import type { RequestStatus } from '../../gateway/ledger/records.ts';
import { ValidationError, type ValidationIssue } from '../../platform/errors.ts';
import { isUuid } from '../../platform/ids.ts';
import type { Types } from '../schema/builder.ts';
import { visibleOwner } from '../schema/owners.ts';
import { RequestStatusEnum } from './types.ts';

/** Which completions are meant; all that is given must fit. Null, absent or empty: any. */
export interface CompletionFilter {
  status?: RequestStatus | null | undefined;
  provider?: string | null | undefined;
  model?: string | null | undefined;
  route?: string | null | undefined;
  /** Id of a route's target. */
  variant?: string | null | undefined;
  userId?: string | null | undefined;
  apiKeyId?: string | null | undefined;
}

type FieldBuilder = PothosSchemaTypes.InputFieldBuilder<PothosSchemaTypes.ExtendDefaultTypes<Types>, 'InputObject'>;

/** The fields of every input that filters completions. */
export const completionFilterFields = (t: FieldBuilder) => ({
  status: t.field({ type: RequestStatusEnum, description: 'How they ended.' }),
  provider: t.string({ description: 'Slug of the provider of their last attempt.' }),
  model: t.string({ description: 'The model that answered.' }),
  route: t.string({ description: 'Slug of the route.' }),
  variant: t.id({
    description: 'Id of the route’s target that their last attempt went to; in an experiment, the variant.',
  }),
  userId: t.id({ description: 'Whose they are. Others than one’s own: admins only.' }),
  apiKeyId: t.id({ description: 'The API key they came with.' }),
});

/**
 * The filter narrowed to what the caller may see: `userId` null is everybody.
 * @param issues what else is wrong with the input, to be told together with malformed ids
 * @throws ValidationError for malformed ids and the issues, ForbiddenError when a user asks for another's completions.
 */
export function visibleFilter<Filter extends CompletionFilter>(
  caller: Caller,
  filter: Filter,
  issues: readonly ValidationIssue[] = [],
): Filter & { userId: string | null } {
  const malformed = (['variant', 'userId', 'apiKeyId'] as const).filter(
    (name) => filter[name] && !isUuid(filter[name]),
  );
  const all = [...malformed.map((name) => ({ path: `filter.${name}`, message: 'is not an id' })), ...issues];
  if (all.length > 0) throw new ValidationError(all);
  return { ...filter, userId: visibleOwner(caller, filter.userId || null) };
}
