import { isAdmin } from '../../gateway/admission/caller.ts';
import type { Correction, CorrectionReason } from '../../gateway/ledger/effective.ts';
import { builder } from '../schema/builder.ts';
import { enumOf } from '../schema/enum-of.ts';
import { CostSourceEnum } from './usage-type.ts';

const CorrectionReasonEnum = enumOf<CorrectionReason>(
  'CorrectionReason',
  'Why something on the ledger was corrected.',
  {
    REPRICED: 'It has a price now, or another one (`repriceUsage`).',
    RESOLVED: 'What an attempt really used, during which the server died, has become known (`trackUsage`).',
  },
);

export const CorrectionType = builder.objectRef<Correction>('Correction').implement({
  description: 'What became known later of an attempt or a usage event. Rows of the ledger are never edited.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'A UUIDv7.' }),
    reason: t.expose('reason', { type: CorrectionReasonEnum, description: 'Why it was corrected.' }),
    inputTokens: t.int({
      nullable: true,
      description: 'Tokens of the input, cached ones included, as far as is known since.',
      resolve: ({ usage }) => usage.inputTokens,
    }),
    outputTokens: t.int({
      nullable: true,
      description: 'Tokens of the output, reasoning included, as far as is known since.',
      resolve: ({ usage }) => usage.outputTokens,
    }),
    cost: t.expose('cost', { type: 'USD', description: 'What it cost, exactly.' }),
    costSource: t.expose('costSource', { type: CostSourceEnum, description: 'How the cost came about.' }),
    difference: t.expose('difference', {
      type: 'USD',
      description: 'What this added to the cost that counted before; negative where it cost less.',
    }),
    wasUnpriced: t.exposeBoolean('wasUnpriced', { description: 'Whether there was no cost before.' }),
    correctedBy: t.id({
      nullable: true,
      description: 'The user who did it. Null: they are not known, or you are no admin.',
      resolve: ({ correctedBy }, _args, { caller }) => (isAdmin(caller) ? correctedBy : null),
    }),
    correctedAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was corrected.' }),
  }),
});
