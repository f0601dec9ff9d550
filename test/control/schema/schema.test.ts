import { readFile } from 'node:fs/promises';
import SchemaBuilder from '@pothos/core';
import {
  type GraphQLNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
  isScalarType,
  isUnionType,
  printSchema,
  specifiedScalarTypes,
} from 'graphql';
import { expect, test } from 'vitest';
import { builder } from '../../../src/control/schema/builder.ts';
import { buildSchema } from '../../../src/control/schema/schema.ts';
import * as errors from '../../../src/platform/errors.ts';

const schema = buildSchema();
const types = Object.values(schema.getTypeMap()).filter(
  (type) =>
    !isIntrospectionType(type) && !(isScalarType(type) && specifiedScalarTypes.some(({ name }) => name === type.name)),
);

test('schema.graphql is what the code says', async () => {
  const file = await readFile(new URL('../../../schema.graphql', import.meta.url), 'utf8');
  expect(file).toBe(`${printSchema(schema)}\n`);
});

test('every type, field, argument, input field and enum value is described', () => {
  expect(types.flatMap(undescribed)).toEqual([]);
});

test('every result union names its success first, and everything else in it is an Error', () => {
  const unions = types.filter(isUnionType).filter(({ name }) => name.endsWith('Result'));
  expect(unions.length).toBeGreaterThan(3);
  for (const union of unions) {
    const [success, ...failures] = union.getTypes();
    expect(success?.getInterfaces(), union.name).toEqual([]);
    expect(failures.length, union.name).toBeGreaterThan(0);
    for (const failure of failures) expect(failure.getInterfaces().map(({ name }) => name)).toEqual(['Error']);
  }
});

test('every error class has its type, and every type its class', () => {
  const classes = Object.entries(errors)
    .filter(([, value]) => typeof value === 'function' && value.prototype instanceof errors.SignalboxError)
    .map(([name]) => name);
  const implementations = schema.getPossibleTypes(schema.getType('Error') as never).map(({ name }) => name);
  expect(implementations.sort()).toEqual(classes.sort());
});

test('a root field that does not say who may use it does not build', () => {
  const other = new SchemaBuilder(builder.options as never) as unknown as typeof builder;
  other.queryType({ fields: (t) => ({ open: t.string({ resolve: () => '' }) }) });
  expect(() => other.toSchema()).toThrow('Query.open must name its authScopes.');
});

function undescribed(type: GraphQLNamedType): string[] {
  const missing = type.description ? [] : [type.name];
  if (isEnumType(type)) missing.push(...nameless(type.name, type.getValues()));
  if (isInputObjectType(type)) missing.push(...nameless(type.name, Object.values(type.getFields())));
  if (isObjectType(type) || isInterfaceType(type)) {
    for (const field of Object.values(type.getFields())) {
      missing.push(...nameless(type.name, [field]), ...nameless(`${type.name}.${field.name}`, field.args));
    }
  }
  return missing;
}

function nameless(
  owner: string,
  parts: readonly { name: string; description?: string | null | undefined }[],
): string[] {
  return parts.filter(({ description }) => !description).map(({ name }) => `${owner}.${name}`);
}
