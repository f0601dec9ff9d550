import {
  ConflictError,
  ForbiddenError,
  NotFoundError,
  ProviderNotFoundError,
  RouteNotFoundError,
  ValidationError,
} from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { outcome } from '../schema/result.ts';
import './live.ts';
import { deleteBudget, findBudget, listBudgets, setBudget } from './service.ts';
import { BudgetType, ScopeEnum, SetBudget } from './types.ts';

export { BudgetWatcher } from './watcher.ts';

builder.queryFields((t) => ({
  budgets: t.field({
    type: [BudgetType],
    authScopes: { user: true },
    description:
      'Budgets in the order in which they were made: those on oneself and one’s API keys, or all for admins.',
    args: { scope: t.arg({ type: ScopeEnum, description: 'Only those of this scope. Default: all.' }) },
    resolve: (_root, { scope = null }, { services, caller }) => listBudgets(services, caller, { scope }),
  }),
  budget: t.field({
    type: BudgetType,
    nullable: true,
    authScopes: { user: true },
    description: 'A budget: one’s own, or any for admins. Null: there is none.',
    args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
    resolve: (_root, { id }, { services, caller }) => findBudget(services, caller, id),
  }),
}));

builder.mutationFields((t) => ({
  setBudget: t.field({
    type: BudgetType,
    authScopes: { user: true },
    description:
      'Sets a budget, or replaces the one of the same scope, subject and period: for oneself and one’s own API keys, or for anything as an admin. Up to 100 for a user, and 1,000 in all.',
    args: { input: t.arg({ type: SetBudget, required: true, description: 'What it shall be.' }) },
    errors: outcome(
      'budget',
      'The budget as it is now.',
      ValidationError,
      ForbiddenError,
      NotFoundError,
      RouteNotFoundError,
      ProviderNotFoundError,
      ConflictError,
    ),
    resolve: (_root, { input }, { services, caller }) => setBudget(services, caller, input),
  }),
  deleteBudget: t.field({
    type: BudgetType,
    authScopes: { user: true },
    description: 'Deletes a budget for good: one’s own, or any as an admin.',
    args: { id: t.arg.id({ required: true, description: 'Its id.' }) },
    errors: outcome('budget', 'The budget as it was.', ForbiddenError, NotFoundError),
    resolve: (_root, { id }, { services, caller }) => deleteBudget(services, caller, id),
  }),
}));
