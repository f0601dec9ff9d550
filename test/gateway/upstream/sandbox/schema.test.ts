import fc from 'fast-check';
import { expect, it } from 'vitest';
import * as z from 'zod';
import { randomFrom } from '../../../../src/gateway/upstream/sandbox/digest.ts';
import { fillSchema } from '../../../../src/gateway/upstream/sandbox/schema.ts';

const bound = fc.integer({ min: -50, max: 50 });
const leaf: fc.Arbitrary<z.ZodType> = fc.oneof(
  fc.constant(z.boolean()),
  fc.constant(z.null()),
  fc.constant(z.email()),
  fc.constant(z.uuid()),
  fc.constant(z.iso.datetime()),
  fc.constant(z.iso.date()),
  fc.constant(z.literal('fixed')),
  fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 4 }).map((values) => z.enum(values as [string, ...string[]])),
  fc.tuple(fc.nat(40), fc.nat(40)).map(([min, more]) =>
    z
      .string()
      .min(min)
      .max(min + more),
  ),
  fc.tuple(bound, fc.nat(50)).map(([min, more]) =>
    z
      .int()
      .min(min)
      .max(min + more),
  ),
  fc.tuple(bound, fc.integer({ min: 1, max: 50 })).map(([min, more]) =>
    z
      .number()
      .gt(min)
      .lt(min + more),
  ),
  bound.map((min) => z.int().gt(min).multipleOf(5)),
  bound.map((max) => z.number().lt(max)),
);
const { schema: schemas } = fc.letrec<{ schema: z.ZodType }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.dictionary(fc.string(), tie('schema'), { maxKeys: 4 }).map((shape) => z.strictObject(shape)),
    fc.tuple(tie('schema'), fc.nat(3)).map(([items, min]) => z.array(items).min(min)),
    fc.tuple(tie('schema'), tie('schema')).map((items) => z.tuple(items)),
    fc.tuple(tie('schema'), tie('schema')).map((options) => z.union(options)),
    tie('schema').map((inner) => inner.nullable()),
  ),
}));

it('fills every schema that zod can write with a value that zod accepts', () => {
  fc.assert(
    fc.property(schemas, fc.nat(), (schema, seed) => {
      const digest = seed.toString(16).padStart(8, '0');
      const value = fillSchema(z.toJSONSchema(schema), randomFrom(digest), 'schema');
      expect(schema.safeParse(value).error?.issues ?? []).toEqual([]);
      expect(fillSchema(z.toJSONSchema(schema), randomFrom(digest), 'schema')).toEqual(value);
    }),
    { numRuns: 500 },
  );
});

it('ends a schema that refers to itself', () => {
  const Node = z.object({
    name: z.string(),
    get next() {
      return Node.nullable();
    },
    get children() {
      return z.array(Node);
    },
  });
  const value = fillSchema(z.toJSONSchema(Node), randomFrom('12345678'), 'schema');
  expect(Node.safeParse(value).success).toBe(true);
});
