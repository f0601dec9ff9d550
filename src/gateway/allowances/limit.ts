import { BudgetExceededError, InsufficientCreditsError, type SignalboxError } from '../../platform/errors.ts';
import { picodollars, toUsd } from '../../platform/money.ts';
import type { Lease } from './lease.ts';
import type { Span } from './period.ts';
import type { BudgetRule } from './rules.ts';

/** What limits an attempt: the period of a hard budget, or the caller's credits, by the id of their allowance. */
export type Limit = { kind: 'BUDGET'; rule: BudgetRule; span: Span } | { kind: 'CREDITS'; allowanceId: string };

/** Why an attempt is not sent: too little is left for the most that it can cost. */
export function shortageError(limit: Limit, lease: Lease, needed: bigint): SignalboxError {
  const standing = lease.standing ?? { limit: 0n, settled: 0n, leased: 0n };
  // What is idle here is nobody's.
  const openHolds = picodollars(standing.leased - lease.free);
  const remaining = picodollars(standing.limit - standing.settled - openHolds);
  const shortage = { remaining, limit: picodollars(standing.limit), openHolds, needed: picodollars(needed) };
  const left = remaining > 0n ? `has $${toUsd(remaining)} left of $${toUsd(standing.limit)}` : 'is used up';
  const held = openHolds > 0n ? ` ($${toUsd(openHolds)} is set aside for completions that run)` : '';
  const costs = `the request may cost up to $${toUsd(needed)}`;
  if (limit.kind === 'CREDITS')
    return new InsufficientCreditsError(
      `Your credit of $${toUsd(standing.limit)} ${remaining > 0n ? `has $${toUsd(remaining)} left` : 'is used up'}${held}, and ${costs}. Ask for fewer tokens, or for more credits.`,
      shortage,
    );
  const { rule, span } = limit;
  const until = span.endsAt ? `wait until ${span.endsAt.toISOString()}, ` : '';
  return new BudgetExceededError(
    `The budget ${nameOf(rule)} ${left}${held}, and ${costs}. Ask for fewer tokens, ${until}or have the budget raised.`,
    rule,
    shortage,
    span.endsAt,
  );
}

function nameOf({ name, scope, period }: BudgetRule): string {
  const kind = `${period.toLowerCase()} ${scope.toLowerCase().replace('_', ' ')}`;
  return name === null ? `(${kind})` : `"${name}" (${kind})`;
}
