import {
  type Page,
  type PageArgs,
  pageArgs,
  pageComplexityOf,
  readSortedPage,
  type SortedSource,
} from '../schema/connections.ts';
import type { Context } from '../schema/context.ts';
import { readTogether } from '../schema/read-together.ts';
import { filterCondition, type WantedModels } from './model-filter.ts';
import { BY_POSITION, type Order, orderOf, type WantedOrder } from './model-order.ts';
import { countModels, countModelsOfEach, type ListedModel, readModels, readModelsOfEach } from './model-rows.ts';

const DEFAULT_PAGE = 100;

/** The arguments and the complexity of every field that gives a page of models. */
export const modelPageArgs = () => pageArgs(DEFAULT_PAGE);
export const modelPageComplexity = pageComplexityOf(DEFAULT_PAGE);

/** @throws ValidationError for a wrong filter, page size or cursor. */
export async function modelsPage(
  { services }: Context,
  args: PageArgs & { filter?: WantedModels; orderBy?: WantedOrder | null | undefined },
): Promise<Page<ListedModel>> {
  const condition = filterCondition(args.filter);
  const order = orderOf(args.orderBy);
  const source: SortedSource<ListedModel> = {
    ...placesIn(order),
    rows: (after, limit) => readModels(services.prisma, condition, order, after, limit),
    count: () => countModels(services.prisma, condition),
  };
  return readSortedPage(args, source, DEFAULT_PAGE);
}

/**
 * The models of one provider, its default one first. For a list of providers the pages of all are read at once.
 * @throws ValidationError for a wrong page size or cursor.
 */
export function providerModelsPage(context: Context, providerId: string, args: PageArgs): Promise<Page<ListedModel>> {
  const { prisma } = context.services;
  const source: SortedSource<ListedModel> = {
    ...placesIn(BY_POSITION),
    rows: async (after, limit) => {
      const what = `models ${JSON.stringify([after, limit])}`;
      const read = (ids: string[]) => readModelsOfEach(prisma, ids, after, limit);
      return (await readTogether(context, what, providerId, read)) ?? [];
    },
    count: async () =>
      (await readTogether(context, 'model count', providerId, (ids) => countModelsOfEach(prisma, ids))) ?? 0,
  };
  return readSortedPage(args, source, DEFAULT_PAGE);
}

function placesIn({ name, key }: Order) {
  return {
    order: name,
    isValue: key.isValue,
    positionOf: ({ sortValue, id }: ListedModel) => ({ value: sortValue, id }),
  };
}
