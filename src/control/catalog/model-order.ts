import { Prisma } from '../../generated/prisma/client.ts';
import { builder } from '../schema/builder.ts';
import { OrderDirection } from '../schema/connections.ts';
import type { Position } from '../schema/cursor.ts';
import { enumOf } from '../schema/enum-of.ts';

/** What models are sorted by: an expression over `m` (models) and `v` (price_versions), and its values in cursors. */
interface SortKey {
  sql: Prisma.Sql;
  type: Prisma.Sql;
  isValue: (value: string) => boolean;
}

export interface Order {
  /** Names the order in its cursors. */
  name: string;
  key: SortKey;
  direction: 'ASC' | 'DESC';
}

/** Names are ASCII. Sorted as people read them, and alike whatever the collation of the database. */
const NAME: SortKey = {
  sql: Prisma.sql`lower(m.name) COLLATE "C"`,
  type: Prisma.sql`text`,
  isValue: (value) => /^[\x21-\x7e]{1,200}$/.test(value),
};

const KEYS = {
  NAME,
  CREATED_AT: wholeNumber(Prisma.sql`(extract(epoch FROM m.created_at) * 1000)::bigint`),
  INPUT_PRICE: wholeNumber(Prisma.sql`(v.components ->> 'input')::bigint`),
  OUTPUT_PRICE: wholeNumber(Prisma.sql`(v.components ->> 'output')::bigint`),
  CONTEXT_TOKENS: wholeNumber(Prisma.sql`m.context_tokens`),
};

export const ModelOrder = builder.inputType('ModelOrder', {
  description: 'The order of a list of models. Those for which the field is unknown come last in both directions.',
  fields: (t) => ({
    field: t.field({
      type: enumOf<keyof typeof KEYS>(
        'ModelOrderField',
        'What models are sorted by; those that are equal in it, by their id.',
        {
          NAME: 'The name the provider knows it by, upper and lower case alike.',
          CREATED_AT: 'When it came into the catalog.',
          INPUT_PRICE: 'Per 1M input tokens.',
          OUTPUT_PRICE: 'Per 1M output tokens.',
          CONTEXT_TOKENS: 'Tokens of input and output that fit together.',
        },
      ),
      required: true,
      description: 'What to sort by.',
    }),
    direction: t.field({ type: OrderDirection, description: 'Which end comes first. Default: ASC.' }),
  }),
});

export interface WantedOrder {
  field: keyof typeof KEYS;
  direction?: Order['direction'] | null | undefined;
}

/** @param wanted null: by name */
export function orderOf(wanted: WantedOrder | null | undefined): Order {
  const { field, direction } = wanted ?? { field: 'NAME' };
  return { name: `${field} ${direction ?? 'ASC'}`, key: KEYS[field], direction: direction ?? 'ASC' };
}

/** The order of one provider's models, in which the first enabled one is its default. */
export const BY_POSITION: Order = { name: 'POSITION ASC', key: wholeNumber(Prisma.sql`m.position`), direction: 'ASC' };

/** What stands behind `ORDER BY`. */
export function sequence({ key, direction }: Order): Prisma.Sql {
  return direction === 'ASC'
    ? Prisma.sql`${key.sql} ASC NULLS LAST, m.id ASC`
    : Prisma.sql`${key.sql} DESC NULLS LAST, m.id DESC`;
}

/** What is true of the models that come after `position` in `sequence`. */
export function behind({ key, direction }: Order, { value, id }: Position): Prisma.Sql {
  const past = direction === 'ASC' ? Prisma.sql`>` : Prisma.sql`<`;
  const isNextOfEqual = Prisma.sql`m.id ${past} ${id}::uuid`;
  if (value === null) return Prisma.sql`(${key.sql} IS NULL AND ${isNextOfEqual})`;
  const at = Prisma.sql`${value}::${key.type}`;
  return Prisma.sql`(${key.sql} ${past} ${at} OR (${key.sql} = ${at} AND ${isNextOfEqual}) OR ${key.sql} IS NULL)`;
}

function wholeNumber(sql: Prisma.Sql): SortKey {
  return { sql, type: Prisma.sql`bigint`, isValue: (value) => /^\d{1,18}$/.test(value) };
}
