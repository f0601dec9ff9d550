import { picodollars } from '../../platform/money.ts';
import { CorrectionType } from '../completions/completions.ts';
import { builder } from '../schema/builder.ts';
import { UsageEventType } from './event-type.ts';
import type { TrackedEvent } from './track.ts';

const TrackedEventType = builder.objectRef<TrackedEvent>('TrackedEvent').implement({
  description: 'What became of one reported event.',
  fields: (t) => ({
    event: t.expose('event', {
      type: UsageEventType,
      nullable: true,
      description: 'The event as it was recorded, now or before. Null: it was evidence for an attempt.',
    }),
    correction: t.expose('correction', {
      type: CorrectionType,
      nullable: true,
      description: 'How the attempt was corrected, now or before. Null: it was usage.',
    }),
    isDuplicate: t.exposeBoolean('isDuplicate', {
      description: 'Whether the same was reported before, so that nothing was recorded.',
    }),
  }),
});

export const TrackedUsage = builder.objectRef<readonly TrackedEvent[]>('TrackedUsage').implement({
  description: 'What became of a report.',
  fields: (t) => ({
    recorded: t.int({
      description: 'Events that were recorded.',
      resolve: (all) => all.filter(({ event, isDuplicate }) => event && !isDuplicate).length,
    }),
    duplicates: t.int({
      description: 'Events that had been reported before, and were not recorded again.',
      resolve: (all) => all.filter(({ isDuplicate }) => isDuplicate).length,
    }),
    resolved: t.int({
      description: 'Attempts that were corrected.',
      resolve: (all) => all.filter(({ correction, isDuplicate }) => correction && !isDuplicate).length,
    }),
    unpriced: t.int({
      description: 'Recorded events without a cost.',
      resolve: (all) => all.filter(({ event, isDuplicate }) => event && !isDuplicate && event.cost === null).length,
    }),
    cost: t.field({
      type: 'USD',
      description: 'What the recorded events cost; without the unpriced ones.',
      resolve: (all) =>
        picodollars(all.reduce((sum, { event, isDuplicate }) => sum + ((!isDuplicate && event?.cost) || 0n), 0n)),
    }),
    events: t.field({
      type: [TrackedEventType],
      // What was reported counts with the mutation: how much it is is known there.
      complexity: { field: 1, multiplier: 1 },
      description: 'What became of each, in the order of the report.',
      resolve: (all) => [...all],
    }),
  }),
});
