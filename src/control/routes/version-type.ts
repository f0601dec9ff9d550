import type { RouteVersion as Row } from '../../generated/prisma/client.ts';
import { User } from '../accounts/accounts.ts';
import { builder } from '../schema/builder.ts';
import { connectionOf } from '../schema/connections.ts';

export const RouteVersion = builder.objectRef<Row>('RouteVersion').implement({
  description: 'A route as it was after one of its changes. Admins only.',
  fields: (t) => ({
    version: t.exposeInt('version', { description: 'The `version` that the route had then.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it became like this.' }),
    changedBy: t.prismaField({
      type: User,
      nullable: true,
      description: 'Who changed it. Null: nobody is known, as of the first version of the route `default`.',
      // Prisma reads what is asked for in one turn of the event loop together.
      resolve: (query, { changedBy }, _args, { services }) =>
        changedBy === null ? null : services.prisma.user.findUnique({ ...query, where: { id: changedBy } }),
    }),
    content: t.expose('content', {
      type: 'JSON',
      description:
        'All that was said of it, by the names of the fields of `Route`; `costWeight`, `latencyWeight` and `qualityWeight` are its `scoreWeights`. A target’s `slots` are those of the 10,000 that sticky keys hash to which are its own, as `[from, to, from, to …]` with each `to` left out.',
    }),
  }),
});

export const RouteVersionConnection = connectionOf(RouteVersion, 'RouteVersion', 'versions of a route');
