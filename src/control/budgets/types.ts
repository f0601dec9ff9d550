import type { BudgetEnforcement, BudgetPeriod, BudgetScope } from '../../generated/prisma/client.ts';
import { builder } from '../schema/builder.ts';
import { enumOf } from '../schema/enum-of.ts';
import { crossedThresholds, percentUsed, remaining } from './progress.ts';
import type { BudgetView } from './read.ts';

export const ScopeEnum = enumOf<BudgetScope>('BudgetScope', 'What a budget is about.', {
  EVERYTHING: 'All completions.',
  USER: 'What a user’s completions cost, with all of their API keys.',
  API_KEY: 'What an API key’s completions cost.',
  ROUTE: 'What the completions of a route cost.',
  PROVIDER: 'What the upstream calls to a provider cost, also of completions that another one answered.',
});

const PeriodEnum = enumOf<BudgetPeriod>(
  'BudgetPeriod',
  'How long a budget’s limit is for. Periods begin at midnight in the server’s TIME_ZONE.',
  {
    DAILY: 'A day.',
    WEEKLY: 'A week from Monday.',
    MONTHLY: 'A calendar month.',
    QUARTERLY: 'Three months from January, April, July or October.',
    YEARLY: 'A calendar year.',
    TOTAL: 'All time: it never begins anew.',
  },
);

const EnforcementEnum = enumOf<BudgetEnforcement>('BudgetEnforcement', 'What happens when a budget is used up.', {
  HARD: 'What may not fit any more is not sent: a completion is made shorter, or refused with BUDGET_EXCEEDED. Models without a price are refused. Subscribers are told when thresholds are crossed.',
  SOFT: 'Subscribers are told when thresholds are crossed. Nothing is refused: more than the limit may be spent.',
});

export const BudgetType = builder.objectRef<BudgetView>('Budget').implement({
  description: 'A limit on what may be spent in a period, with what is spent in the one that runs.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7.' }),
    name: t.exposeString('name', { nullable: true, description: 'What it is called; null: it has no name.' }),
    scope: t.expose('scope', { type: ScopeEnum, description: 'What it is about.' }),
    subject: t.exposeString('subject', {
      nullable: true,
      description:
        'Whom or what exactly: a user’s e-mail address, an API key’s name, a route’s or provider’s slug. Null for EVERYTHING, and when it is gone.',
    }),
    subjectId: t.exposeID('subjectId', {
      nullable: true,
      description: 'The id of the user, API key, route or provider; null for EVERYTHING.',
    }),
    isManaged: t.exposeBoolean('isManaged', {
      description: 'Whether an admin has set it on somebody else, who may see it, but not change it.',
    }),
    period: t.expose('period', { type: PeriodEnum, description: 'How long the limit is for.' }),
    limit: t.expose('limit', { type: 'USD', description: 'What may be spent in a period.' }),
    enforcement: t.expose('enforcement', { type: EnforcementEnum, description: 'What happens when it is used up.' }),
    thresholds: t.exposeIntList('thresholds', {
      description: 'Percentages of the limit that are told when they are crossed, ascending.',
    }),
    periodStartsAt: t.expose('startsAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the period that runs began; null for TOTAL.',
    }),
    resetsAt: t.expose('endsAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When the next period begins; null for TOTAL.',
    }),
    spent: t.expose('spent', {
      type: 'USD',
      description:
        'What was spent in this period, exactly: the cost of the completions that were admitted in it and have ended, without those of unknown price.',
    }),
    held: t.expose('held', {
      type: 'USD',
      description:
        'What servers have set aside of a HARD budget: the most that the completions which run can cost, and a little in advance. 0 for SOFT.',
    }),
    remaining: t.field({
      type: 'USD',
      description: 'What of the limit is neither spent nor set aside, 0 at least.',
      resolve: remaining,
    }),
    percentUsed: t.float({
      description: 'Percentage of the limit that is spent, rounded down to 4 decimals; over 100 when it is exceeded.',
      resolve: percentUsed,
    }),
    crossedThresholds: t.intList({
      description: 'The thresholds at or below what is spent, ascending.',
      resolve: crossedThresholds,
    }),
    isExceeded: t.boolean({
      description:
        'Whether more than the limit is spent: possible with SOFT, after the limit was lowered, and where a provider billed more than it can have announced.',
      resolve: ({ spent, limit }) => spent > limit,
    }),
    version: t.exposeInt('version', { description: 'Goes up each time it is set.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was set first.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When it was set last.' }),
  }),
});

export const SetBudget = builder.inputType('SetBudgetInput', {
  description:
    'A budget. There is one for each scope, subject and period: setting it again replaces it, and what is left out then has its default.',
  fields: (t) => ({
    limit: t.field({
      type: 'USD',
      required: true,
      description:
        'What may be spent in a period: more than 0. It holds for the period that runs, at once; less than what is spent closes a HARD budget until the next one.',
    }),
    period: t.field({ type: PeriodEnum, description: 'How long the limit is for. Default: MONTHLY.' }),
    scope: t.field({
      type: ScopeEnum,
      description: 'What it is about. Default: USER. Others than USER and API_KEY: admins only.',
    }),
    subject: t.id({
      description:
        'Id or e-mail address of the user, id of the API key, id or slug of the route or provider. Default for USER: the caller. Left out with EVERYTHING.',
    }),
    name: t.string({ description: 'What it is called, up to 100 characters. Default: null.' }),
    enforcement: t.field({ type: EnforcementEnum, description: 'What happens when it is used up. Default: HARD.' }),
    thresholds: t.intList({
      description:
        'Percentages of the limit, up to 10, from 1 to 1,000. Each is told once in a period; after a new limit, again. Default: 50, 80, 100.',
    }),
    version: t.int({ description: 'The `version` that the change is based on. A stale one is refused. Default: any.' }),
  }),
});
