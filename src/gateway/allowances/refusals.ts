import { BudgetExceededError } from '../../platform/errors.ts';
import { toUsd } from '../../platform/money.ts';
import { type Caller, isAdmin } from '../admission/caller.ts';

/**
 * The refusal as a caller may be told it: the amounts of a budget that others spend from as well are for admins, as they
 * tell what strangers spend.
 */
export function asSeenBy(caller: Caller, error: BudgetExceededError): BudgetExceededError {
  const isTheirs = caller.kind !== 'ANONYMOUS' && caller.account.id === error.ownerId;
  if (isTheirs || isAdmin(caller)) return error;
  const { scope, resetsAt } = error;
  const { needed } = error.shortage;
  const until = resetsAt ? `wait until ${resetsAt.toISOString()}, ` : '';
  return new BudgetExceededError(
    `A budget that an admin has set has too little left: the request may cost up to $${toUsd(needed)}. Ask for fewer tokens, ${until}or ask an admin.`,
    { id: null, scope, ownerId: null },
    { remaining: null, limit: null, openHolds: null, needed },
    resetsAt,
  );
}
