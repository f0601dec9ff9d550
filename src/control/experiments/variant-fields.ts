import type { Types } from '../schema/builder.ts';
import type { Variant } from './variants.ts';

type FieldBuilder<Shape extends object> = PothosSchemaTypes.ObjectFieldBuilder<
  PothosSchemaTypes.ExtendDefaultTypes<Types>,
  Shape
>;

/** The fields of every type that tells something of a variant: which one it is. */
export const variantFields = <Shape extends { variant: Variant }>(t: FieldBuilder<Shape>) => ({
  id: t.id({ description: 'The target’s id.', resolve: ({ variant }) => variant.id }),
  label: t.string({
    description: '`A`, `B` … in the order of the route’s targets; what the recommendation calls it.',
    resolve: ({ variant }) => variant.label,
  }),
  provider: t.string({
    nullable: true,
    description: 'Slug of its provider. Null: it is gone.',
    resolve: ({ variant }) => variant.provider,
  }),
  models: t.stringList({
    description: 'Names of its models. Empty: all enabled ones of its provider.',
    resolve: ({ variant }) => [...variant.models],
  }),
  percentage: t.float({
    nullable: true,
    description: 'Its share of the route’s requests now, in percent. Null: the route does not split them.',
    resolve: ({ variant }) => variant.percentage,
  }),
});
