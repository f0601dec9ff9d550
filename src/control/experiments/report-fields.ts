import type { Span } from '../metrics/metrics.ts';
import { Route, readRoute } from '../routes/routes.ts';
import type { Types } from '../schema/builder.ts';

type FieldBuilder<Shape extends object> = PothosSchemaTypes.ObjectFieldBuilder<
  PothosSchemaTypes.ExtendDefaultTypes<Types>,
  Shape
>;

/** The fields of every report on a route in a span of time: which route, and which span. */
export const reportFields = <Shape extends { routeId: string; span: Span }>(t: FieldBuilder<Shape>) => ({
  route: t.prismaField({
    type: Route,
    description: 'The route.',
    resolve: (query, { routeId }, _args, { services }) => readRoute(services.prisma, query, routeId),
  }),
  from: t.field({
    type: 'DateTime',
    description: 'Where the span really begins: on a whole minute up to 24 hours, else on a whole hour.',
    resolve: ({ span }) => span.from,
  }),
  to: t.field({
    type: 'DateTime',
    description: 'Where the span really ends; the time itself is not in it.',
    resolve: ({ span }) => span.to,
  }),
});
