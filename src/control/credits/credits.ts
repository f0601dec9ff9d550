import { ConflictError, NotFoundError, ValidationError } from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import { pageArgs, pageComplexity, readPage } from '../schema/connections.ts';
import { outcome } from '../schema/result.ts';
import { grantCredits } from './grant.ts';
import { creditEntries } from './history.ts';
import { readCredits } from './read.ts';
import { CreditEntryConnection, CreditsType, GrantCredits } from './types.ts';
import { whose } from './whose.ts';

const USER = 'Id or e-mail address of the user. Default: the caller. Others than the caller: admins only.';

builder.queryFields((t) => ({
  credits: t.field({
    type: CreditsType,
    nullable: true,
    authScopes: { user: true },
    description:
      'One’s own credits, or any user’s for admins. Null: they were never granted any, and are not limited by them.',
    args: { userId: t.arg.id({ description: USER }) },
    resolve: async (_root, { userId = null }, { services, caller }) => {
      const owner = await whose(services, caller, userId);
      return owner === null ? null : readCredits(services, owner);
    },
  }),
  creditHistory: t.field({
    type: CreditEntryConnection,
    authScopes: { user: true },
    description:
      'What changed one’s own balance of credits, newest first, or any user’s for admins: grants, and each completion that cost credits, for as long as the request log keeps it.',
    args: { userId: t.arg.id({ description: USER }), ...pageArgs() },
    complexity: pageComplexity,
    resolve: async (_root, { userId = null, ...page }, { services, caller }) =>
      readPage(page, creditEntries(services.pool, await whose(services, caller, userId))),
  }),
}));

builder.mutationField('grantCredits', (t) =>
  t.field({
    type: CreditsType,
    authScopes: { admin: true },
    description:
      'Gives a user credits, or takes some back. It holds at once, on every server, and stays in `creditHistory` for good. Admins only.',
    args: { input: t.arg({ type: GrantCredits, required: true, description: 'Who gets what.' }) },
    errors: outcome('credits', 'The user’s credits as they are now.', ValidationError, NotFoundError, ConflictError),
    resolve: (_root, { input }, { services, caller }) => grantCredits(services, caller, input),
  }),
);
