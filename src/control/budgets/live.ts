import { builder } from '../schema/builder.ts';
import type { Context } from '../schema/context.ts';
import { enumOf } from '../schema/enum-of.ts';
import { isTheirs } from '../schema/owners.ts';
import type { BudgetChange, ChangeReason } from './progress.ts';
import { findBudget } from './service.ts';
import type { BudgetEvent } from './tell.ts';
import { BudgetType } from './types.ts';

interface BudgetChanged extends BudgetChange {
  at: Date;
}

const ReasonEnum = enumOf<ChangeReason>('BudgetChangeReason', 'What happened to a budget.', {
  SET: 'It was set, for the first time or again.',
  DELETED: 'It was deleted.',
  SPENT: 'More is spent now; told at most about once a second.',
  THRESHOLD_CROSSED: 'What is spent has reached a threshold: told once in a period for each threshold.',
  PERIOD_STARTED: 'A new period began, and with it counting from 0.',
});

const BudgetChangedType = builder.objectRef<BudgetChanged>('BudgetChanged').implement({
  description: 'Something happened to a budget.',
  fields: (t) => ({
    reason: t.expose('reason', { type: ReasonEnum, description: 'What happened.' }),
    budgetId: t.exposeID('budgetId', { description: 'The budget’s id.' }),
    budget: t.field({
      type: BudgetType,
      nullable: true,
      description:
        'The budget as it is now, which is read for each event: ask for it only if you need it. Null: it was deleted.',
      resolve: ({ reason, budgetId }, _args, { services, caller }) =>
        reason === 'DELETED' ? null : findBudget(services, caller, budgetId),
    }),
    threshold: t.exposeInt('threshold', {
      nullable: true,
      description: 'The percentage that was crossed; null for other reasons than THRESHOLD_CROSSED.',
    }),
    spent: t.field({ type: 'USD', description: 'What was spent by then.', resolve: ({ spent }) => BigInt(spent) }),
    remaining: t.field({
      type: 'USD',
      description: 'What was neither spent nor set aside by then, 0 at least.',
      resolve: ({ remaining }) => BigInt(remaining),
    }),
    at: t.expose('at', { type: 'DateTime', description: 'When it was noticed.' }),
  }),
});

builder.subscriptionField('budgetChanged', (t) =>
  t.field({
    type: BudgetChangedType,
    authScopes: { user: true },
    description:
      'What happens to budgets from now on, on whichever server, in the same order everywhere: to one’s own, or as an admin to all. Ends with OVERLOADED for a reader who falls behind.',
    subscribe: (_root, _args, context) => budgetChanges(context),
    visible: ({ ownerId }, caller) => isTheirs(caller, ownerId),
    resolve: (event) => event,
  }),
);

/** One event holds the changes of all budgets, so those of others are left out here, before each is looked at again. */
async function* budgetChanges({ services, signal, renewCaller }: Context): AsyncGenerator<BudgetChanged> {
  for await (const { payload, at } of services.feed.subscribe('BUDGETS', { overflow: 'END' }, signal)) {
    const caller = await renewCaller();
    for (const change of (payload as BudgetEvent).changes) {
      if (isTheirs(caller, change.ownerId)) yield { ...change, at };
    }
  }
}
