import { builder } from '../schema/builder.ts';
import { connectionOf } from '../schema/connections.ts';
import { enumOf } from '../schema/enum-of.ts';
import type { CreditEntry, CreditEntryKind } from './history.ts';
import { LONGEST_KEY, LONGEST_NOTE } from './input.ts';
import { balanceOf, type Credits, remainingOf } from './read.ts';

export const CreditsType = builder.objectRef<Credits>('Credits').implement({
  description:
    'What a user was granted to spend, and what of it is left. Completions cost credits, but for calls with the user’s own key of a provider.',
  fields: (t) => ({
    userId: t.exposeID('userId', { description: 'Whose they are.' }),
    granted: t.expose('granted', { type: 'USD', description: 'All grants together, less what was taken back.' }),
    spent: t.expose('spent', {
      type: 'USD',
      description: 'What completions have cost that were admitted since the first grant, and have ended.',
    }),
    balance: t.field({
      type: 'USD',
      description: 'What of the grants is not spent. Below 0 where a provider billed more than it can have announced.',
      resolve: balanceOf,
    }),
    held: t.expose('held', {
      type: 'USD',
      description:
        'What servers have set aside of the balance: the most that the completions which run can cost, and a little in advance.',
    }),
    remaining: t.field({
      type: 'USD',
      description: 'What of the balance is not set aside, 0 at least.',
      resolve: remainingOf,
    }),
    since: t.expose('since', {
      type: 'DateTime',
      description: 'When they were first granted. What was admitted before is free of them.',
    }),
  }),
});

const KindEnum = enumOf<CreditEntryKind>('CreditEntryKind', 'What changed a balance of credits.', {
  GRANT: 'An admin gave credits, or took some back.',
  COMPLETION: 'A completion cost credits; later corrections of its cost are included.',
  WRITE_OFF:
    'A server was lost with what it had set aside, which is taken for spent; given back should its journal come after all.',
});

const CreditEntryType = builder.objectRef<CreditEntry>('CreditEntry').implement({
  description: 'One change of a balance of credits.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7; of a completion, its request id.' }),
    kind: t.expose('kind', { type: KindEnum, description: 'What it was.' }),
    amount: t.expose('amount', {
      type: 'USD',
      description: 'More than 0: granted. Less than 0: spent, or taken back.',
    }),
    at: t.expose('at', { type: 'DateTime', description: 'When; of a completion, when it was admitted.' }),
    note: t.exposeString('note', {
      nullable: true,
      description: 'What the admin wrote; null for other kinds than GRANT, and when they wrote nothing.',
    }),
    grantedBy: t.exposeID('grantedBy', {
      nullable: true,
      description: 'Id of the admin who granted them; null for other kinds than GRANT.',
    }),
    requestId: t.exposeID('requestId', {
      nullable: true,
      description: 'Finds the completion in `request(id)`; null for other kinds than COMPLETION.',
    }),
    model: t.exposeString('model', {
      nullable: true,
      description: 'The model that answered; null for other kinds than COMPLETION.',
    }),
  }),
});

export const CreditEntryConnection = connectionOf(CreditEntryType, 'CreditEntry', 'changes of a balance of credits');

export const GrantCredits = builder.inputType('GrantCreditsInput', {
  description: 'Credits for a user. The first grant begins to limit what their completions may cost.',
  fields: (t) => ({
    userId: t.id({ required: true, description: 'Id or e-mail address of the user.' }),
    amount: t.field({
      type: 'USD',
      required: true,
      description:
        'What they get; not 0. Less than 0 takes back: at most what is neither spent nor set aside. What servers set aside in advance comes back within seconds.',
    }),
    note: t.string({
      description: `Why, which the user may read, up to ${LONGEST_NOTE} characters. Default: null.`,
    }),
    key: t.string({
      description: `Your own name for this grant, up to ${LONGEST_KEY} printable ASCII characters: the same one again for the same user and amount grants nothing more. Default: each is another grant.`,
    }),
  }),
});
