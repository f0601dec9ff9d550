import { z } from 'zod';
import type { Caller } from '../../gateway/admission/caller.ts';
import { firstUuidAt, isUuid } from '../../platform/ids.ts';
import { storable } from '../../platform/storable.ts';
import { builder } from '../schema/builder.ts';
import { connectionOf, pageArgs, pageComplexity, readSortedPage } from '../schema/connections.ts';
import type { Services } from '../schema/context.ts';
import type { Position } from '../schema/cursor.ts';
import { jsonObjectUpTo } from '../schema/input-rules.ts';
import { visibleOwner } from '../schema/owners.ts';
import { parseInput } from '../schema/parse-input.ts';
import { type LoggedEvent, readEvents, type Selection } from './event-rows.ts';
import { UsageEventType } from './event-type.ts';
import { slugsOf } from './find-called.ts';
import { LIMITS } from './input.ts';

const UsageEventFilterInput = builder.inputType('UsageEventFilter', {
  description: 'Which usage events are meant; all that is given must fit.',
  fields: (t) => ({
    provider: t.string({ description: 'The provider, as it is reported: its slug, its name, or its kind.' }),
    model: t.string({ description: 'The model.' }),
    userId: t.id({ description: 'Whose they are. Others than one’s own: admins only.' }),
    from: t.field({ type: 'DateTime', description: 'Of this time or later.' }),
    to: t.field({ type: 'DateTime', description: 'Of before this time.' }),
    metadata: t.field({
      type: 'JSON',
      description:
        'What their metadata contains, an object of up to 16 KiB: `{"team": "search"}` finds all whose `team` is `"search"`, whatever else they hold. In lists, every listed member must be there.',
    }),
    isUnpriced: t.boolean({ description: 'true: those without a cost; false: those with one.' }),
  }),
});

const eventFilter = z.object({
  provider: z.string().nullish(),
  model: z.string().nullish(),
  userId: z.string().refine(isUuid, 'is not an id').nullish(),
  from: z.date().nullish(),
  to: z.date().nullish(),
  metadata: jsonObjectUpTo(LIMITS.metadataBytes).nullish(),
  isUnpriced: z.boolean().nullish(),
});

type EventFilter = z.input<typeof eventFilter>;

const UsageEventConnection = connectionOf(UsageEventType, 'UsageEvent', 'usage events');

builder.queryField('usageEvents', (t) =>
  t.field({
    type: UsageEventConnection,
    authScopes: { user: true },
    description:
      'Usage that was made elsewhere and reported with `trackUsage`, by when it was, newest first: your own, or everybody’s for admins.',
    complexity: pageComplexity,
    args: { filter: t.arg({ type: UsageEventFilterInput, description: 'Default: all.' }), ...pageArgs() },
    resolve: (_root, { filter, ...page }, { caller, services }) => {
      const { pool } = services;
      const where = selectionOf(services, caller, filter ?? {});
      return readSortedPage<LoggedEvent>(page, {
        order: 'OCCURRED_AT DESC',
        isValue: (value) => !Number.isNaN(Date.parse(value)),
        positionOf: ({ occurredAt, id }) => ({ value: occurredAt.toISOString(), id }),
        rows: (after, limit) => readEvents(pool, pageOf(where, after, limit)),
        count: async () => {
          const sql = `SELECT count(*)::int AS count FROM usage_events e ${where.sql}`;
          const { rows } = await pool.query<{ count: number }>(sql, where.values);
          return rows[0]?.count ?? 0;
        },
      });
    },
  }),
);

/**
 * Which events the caller may see and asks for.
 * @throws ValidationError; ForbiddenError when a user asks for another's.
 */
function selectionOf({ snapshots }: Pick<Services, 'snapshots'>, caller: Caller, filter: EventFilter): Selection {
  const { provider, model, userId, from, to, metadata, isUnpriced } = parseInput(z.object({ filter: eventFilter }), {
    filter,
  }).filter;
  const parts: string[] = [];
  const values: unknown[] = [];
  const require = (sql: string, value: unknown) => parts.push(sql.replace('?', `$${values.push(value)}`));
  const owner = visibleOwner(caller, userId ?? null);
  if (owner) require('e.user_id = ?::uuid', owner.toLowerCase());
  if (provider) require('e.provider_slug = ANY(?)', slugsOf(snapshots.current, provider));
  if (model) require('e.model = ?', storable(model));
  if (from) {
    require('e.occurred_at >= ?', from);
    // Nothing is reported more than this ahead: months before need not be looked into.
    require('e.id >= ?::uuid', firstUuidAt(Number(from) - 2 * LIMITS.aheadMs));
  }
  if (to) require('e.occurred_at < ?', to);
  if (metadata) require('e.metadata @> ?::jsonb', JSON.stringify(metadata));
  const corrected = 'EXISTS (SELECT FROM corrections k WHERE k.usage_event_id = e.id)';
  if (isUnpriced === true) parts.push(`e.cost IS NULL AND NOT ${corrected}`);
  if (isUnpriced === false) parts.push(`(e.cost IS NOT NULL OR ${corrected})`);
  return { sql: `WHERE ${parts.join(' AND ') || 'true'}`, values };
}

function pageOf(where: Selection, after: Position | null, limit: number): Selection {
  const values = [...where.values];
  const behind = after
    ? `AND (e.occurred_at, e.id) < ($${values.push(after.value)}::timestamptz, $${values.push(after.id)}::uuid)`
    : '';
  return { sql: `${where.sql} ${behind} ORDER BY e.occurred_at DESC, e.id DESC LIMIT ${limit}`, values };
}
