import { builder } from '../schema/builder.ts';
import type { Repricing } from './reprice.ts';
import type { TallyLine } from './tally.ts';

/** The lines that change most. */
const MOST_LINES = 1_000;

const RepricingLine = builder.objectRef<TallyLine>('RepricingLine').implement({
  description: 'What pricing again changes of one provider’s model.',
  fields: (t) => ({
    provider: t.exposeString('provider', { description: 'Slug of the provider, or the name that was reported.' }),
    model: t.exposeString('model', { description: 'The model that answered, else the one that was asked for.' }),
    attempts: t.exposeInt('attempts', { description: 'Upstream calls whose cost changes.' }),
    events: t.exposeInt('events', { description: 'Tracked usage events whose cost changes.' }),
    before: t.expose('before', { type: 'USD', description: 'What these cost before; without the unpriced ones.' }),
    after: t.expose('after', { type: 'USD', description: 'What they cost after.' }),
    difference: t.field({
      type: 'USD',
      description: 'What is added; negative where it is less.',
      resolve: ({ before, after }) => after - before,
    }),
    stillUnpriced: t.exposeInt('stillUnpriced', {
      description: 'Calls and events that were looked at and for which there is still no price.',
    }),
  }),
});

export const RepricingType = builder.objectRef<Repricing>('Repricing').implement({
  description: 'What pricing usage again changed, or in a dry run would change.',
  fields: (t) => ({
    isDryRun: t.exposeBoolean('isDryRun', { description: 'Whether nothing was posted.' }),
    attempts: t.int({
      description: 'Upstream calls whose cost changes.',
      resolve: ({ tally }) => tally.lines.reduce((sum, { attempts }) => sum + attempts, 0),
    }),
    events: t.int({
      description: 'Tracked usage events whose cost changes.',
      resolve: ({ tally }) => tally.lines.reduce((sum, { events }) => sum + events, 0),
    }),
    before: t.field({
      type: 'USD',
      description: 'What these cost before; without the unpriced ones.',
      resolve: ({ tally }) => tally.lines.reduce((sum, { before }) => sum + before, 0n),
    }),
    after: t.field({
      type: 'USD',
      description: 'What they cost after.',
      resolve: ({ tally }) => tally.lines.reduce((sum, { after }) => sum + after, 0n),
    }),
    difference: t.field({
      type: 'USD',
      description: 'What is added; negative where it is less.',
      resolve: ({ tally }) => tally.lines.reduce((sum, { before, after }) => sum + after - before, 0n),
    }),
    stillUnpriced: t.int({
      description: 'Calls and events that were looked at and for which there is still no price.',
      resolve: ({ tally }) => tally.lines.reduce((sum, { stillUnpriced }) => sum + stillUnpriced, 0),
    }),
    lines: t.field({
      type: [RepricingLine],
      description: 'The same by provider and model, those that change most first; 1,000 at most.',
      resolve: ({ tally }) => tally.lines.sort(byChange).slice(0, MOST_LINES),
    }),
    moreFrom: t.expose('moreFrom', {
      type: 'DateTime',
      nullable: true,
      description:
        'There is more in the range than one call looks at (100,000 calls and 100,000 events): run it again with this as `from`. Null: all was looked at.',
    }),
  }),
});

function byChange(a: TallyLine, b: TallyLine): number {
  const size = ({ before, after }: TallyLine) => (after < before ? before - after : after - before);
  return size(a) === size(b) ? b.stillUnpriced - a.stillUnpriced : size(a) < size(b) ? 1 : -1;
}
