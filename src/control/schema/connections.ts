import type { ObjectRef } from '@pothos/core';
import { queryFromInfo } from '@pothos/plugin-prisma';
import type { GraphQLResolveInfo } from 'graphql';
import { invalid } from '../../platform/errors.ts';
import { builder, type Types } from './builder.ts';
import { type CursorRules, decodeCursor, encodeCursor, type Position } from './cursor.ts';
import { enumOf } from './enum-of.ts';

const DEFAULT_PAGE = 50;
const LARGEST_PAGE = 100;

/** One page of a list and how to count the whole of it. */
export interface Page<T> {
  edges: { cursor: string; node: T }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
  count: () => Promise<number>;
}

/** Where a list comes from: two statements at most, whatever the size of a page. */
export interface PageSource<T> {
  /** The next `limit` rows behind the row with the id `after` (null: from the start), which need not exist any more. */
  rows: (after: string | null, limit: number) => Promise<T[]>;
  /** How many there are in all; called only when the client asks. */
  count: () => Promise<number>;
}

/** Like `PageSource`, for a list that is sorted by something else than the id. */
export interface SortedSource<T> extends CursorRules {
  positionOf: (row: T) => Position;
  /** The next `limit` rows behind `after` (null: from the start), where a row need not stand any more. */
  rows: (after: Position | null, limit: number) => Promise<T[]>;
  /** How many there are in all; called only when the client asks. */
  count: () => Promise<number>;
}

export interface PageArgs {
  first?: number | null | undefined;
  after?: string | null | undefined;
}

export const OrderDirection = enumOf('OrderDirection', 'Which end of an order comes first.', {
  ASC: 'The smallest, the earliest, A before Z.',
  DESC: 'The largest, the latest, Z before A.',
});

/** The arguments of every connection. Spread them into a field's `args`. */
export const pageArgs = (defaultPage = DEFAULT_PAGE) =>
  builder.args((t) => ({
    first: t.int({ description: `How many to return, 1 to ${LARGEST_PAGE}. Default ${defaultPage}.` }),
    after: t.string({ description: 'Continue after this cursor: `pageInfo.endCursor` of the page before.' }),
  }));

/** The `complexity` of a connection field: what is below it counts once for each thing on the page. */
export const pageComplexityOf =
  (defaultPage: number) =>
  ({ first }: PageArgs) => ({
    field: 1,
    multiplier: Math.min(Math.max(first ?? defaultPage, 1), LARGEST_PAGE),
  });

export const pageComplexity = pageComplexityOf(DEFAULT_PAGE);

/**
 * Declares `<name>Connection` and `<name>Edge`; call it once for a type.
 * @param things what the list holds, in the plural, for the descriptions
 */
export function connectionOf<T>(
  node: ObjectRef<PothosSchemaTypes.ExtendDefaultTypes<Types>, T>,
  name: string,
  things: string,
) {
  return builder.connectionObject(
    {
      type: node,
      name: `${name}Connection`,
      description: `A page of ${things}.`,
      fields: (t) => ({
        totalCount: t.int({
          description: 'How many there are in all, on every page. Counted only when asked for.',
          complexity: 10,
          resolve: (page) => (page as unknown as Page<T>).count(),
        }),
      }),
    },
    { name: `${name}Edge`, description: `One of the ${things} with its cursor.` },
  );
}

/**
 * Reads one page of a list in the order of its ids.
 * @throws ValidationError when `first` is out of its range or `after` is no cursor.
 */
export function readPage<T extends { id: string }>(args: PageArgs, source: PageSource<T>): Promise<Page<T>> {
  return readSortedPage(args, {
    order: 'ID',
    isValue: () => false,
    positionOf: ({ id }) => ({ value: null, id }),
    rows: (after, limit) => source.rows(after?.id ?? null, limit),
    count: source.count,
  });
}

/**
 * Reads one page of a list in an order of its own; the cursor is where the last row on it stands.
 * @throws ValidationError when `first` is out of its range or `after` is no cursor of this order.
 */
export async function readSortedPage<T>(
  args: PageArgs,
  source: SortedSource<T>,
  defaultPage = DEFAULT_PAGE,
): Promise<Page<T>> {
  const first = args.first ?? defaultPage;
  if (first < 1 || first > LARGEST_PAGE) {
    throw invalid('first', `must be from 1 to ${LARGEST_PAGE}`);
  }
  const after = args.after ? decodeCursor(args.after, source) : null;
  const rows = await source.rows(after, first + 1);
  const edges = rows
    .slice(0, first)
    .map((node) => ({ cursor: encodeCursor(source.order, source.positionOf(node)), node }));
  return {
    edges,
    pageInfo: {
      hasNextPage: rows.length > first,
      hasPreviousPage: after !== null,
      startCursor: edges.at(0)?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
    count: source.count,
  };
}

/**
 * What Prisma must load for the rows of a page: their relations, as far as the client asks for them below `nodes` or
 * `edges`. Give it to the connection's `findMany`, so that relations cost no statement for each row.
 * @typeParam Query the part of that model's `FindManyArgs` with `include`
 */
export function queryOfNodes<Query extends { include?: object | null }>(
  context: object,
  info: GraphQLResolveInfo,
): Query {
  return queryFromInfo({ context, info, paths: [['nodes'], ['edges', 'node']] }) as Query;
}
