import {
  BudgetExceededError,
  type HiddenShortage,
  InsufficientCreditsError,
  type Shortage,
} from '../../platform/errors.ts';
import { toUsd } from '../../platform/money.ts';
import { type Caller, isAdmin } from '../admission/caller.ts';
import type { Span } from './period.ts';
import type { BudgetRule } from './rules.ts';

/** Budgets that a caller alone spends from: what they say is about nobody else. */
const OWN_SCOPES: readonly BudgetRule['scope'][] = ['USER', 'API_KEY'];

const ABOUT: Readonly<Record<BudgetRule['scope'], string>> = {
  EVERYTHING: 'of all completions',
  USER: 'of your completions',
  API_KEY: 'of this API key',
  ROUTE: 'of this route',
  PROVIDER: 'of this provider',
};

/**
 * Why a completion is refused that a budget has too little left for. Admins, and those whose own budget it is, are told
 * its amounts; others only that there is one, as its amounts tell what strangers spend.
 * @param rule a budget in which the caller's completion counts
 * @param span its period that runs
 */
export function budgetExceeded(
  rule: Pick<BudgetRule, 'id' | 'name' | 'scope'>,
  { endsAt }: Span,
  shortage: Shortage,
  caller: Caller,
): BudgetExceededError {
  const anew = endsAt ? ` It begins anew at ${endsAt.toISOString()}.` : '';
  if (!OWN_SCOPES.includes(rule.scope) && !isAdmin(caller)) {
    const hidden: HiddenShortage = { remaining: null, limit: null, openHolds: null, needed: shortage.needed };
    return new BudgetExceededError(
      `A budget of this Signalbox has too little left for this completion, which can cost up to $${toUsd(shortage.needed)}.${anew} Ask for fewer tokens, or ask an admin.`,
      null,
      hidden,
      endsAt,
    );
  }
  const name = rule.name === null ? `The budget ${ABOUT[rule.scope]}` : `The budget "${rule.name}"`;
  return new BudgetExceededError(
    `${name} ${hasLeft(shortage)}.${anew} Ask for fewer tokens, or for a higher limit.`,
    rule.id,
    shortage,
    endsAt,
  );
}

/** Why a completion is refused that the caller's credits are too few for. */
export function insufficientCredits(shortage: Shortage): InsufficientCreditsError {
  return new InsufficientCreditsError(
    `Your balance of credits ${hasLeft(shortage)}. Ask for fewer tokens, or ask an admin for more credits.`,
    shortage,
  );
}

function hasLeft({ remaining, limit, openHolds, needed }: Shortage): string {
  const left = `has $${toUsd(remaining > 0n ? remaining : 0n)} left of $${toUsd(limit)}`;
  const held = openHolds > 0n ? `, with $${toUsd(openHolds)} set aside for completions that are running` : '';
  return `${left}${held}, and this one can cost up to $${toUsd(needed)}`;
}
