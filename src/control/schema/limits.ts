import { complexityFromQuery } from '@pothos/plugin-complexity';
import {
  type DocumentNode,
  type GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
  type Source,
  visit,
} from 'graphql';
import { invalid } from '../../platform/errors.ts';

/** What one operation may ask for. Generous for screens, small enough that no operation holds the server up. */
export const LIMITS = {
  /** Words and signs of the document; counted while parsing, which stops there. */
  tokens: 2_000,
  depth: 16,
  /** Aliases in the whole document. */
  aliases: 100,
  /** The same in a document that asks for the schema, of which complexity counts nothing. */
  aliasesBesideSchema: 10,
  /** Fields of Query, Mutation or Subscription: each of them looks into the database by itself. */
  rootFields: 50,
  /** Fields, those below a list once for each thing the list may hold. */
  complexity: 100_000,
};

/**
 * @throws GraphQLError when the document is not GraphQL or has too many tokens; ValidationError when it is nested too
 * deeply to be read.
 */
export function parseWithinLimits(source: string | Source): DocumentNode {
  try {
    return parse(source, { maxTokens: LIMITS.tokens });
  } catch (error) {
    // The parser calls itself for each level, and runs out of stack before it runs out of tokens.
    if (error instanceof RangeError) refuse('is nested too deeply');
    throw error;
  }
}

/**
 * Checks an operation before it runs. It depends on the variables, so it is no validation rule: their outcomes are
 * remembered for the document.
 * @param document valid against the schema
 * @throws ValidationError that names the limit.
 */
export function checkLimits(
  schema: GraphQLSchema,
  document: DocumentNode,
  operationName: string | null | undefined,
  variables: Record<string, unknown> | null | undefined,
  context: object,
): void {
  checkAliases(document);
  const operation = getOperationAST(document, operationName);
  if (!operation) return;
  const rootFields = rootFieldsOf(document, operation.selectionSet).size;
  if (rootFields > LIMITS.rootFields)
    refuse(`has ${rootFields} fields at its root; the limit is ${LIMITS.rootFields}. Send several operations`);
  const measured = measure(schema, document, operation, variables ?? {}, context);
  if (!measured) return;
  const { depth, complexity } = measured;
  if (depth > LIMITS.depth) refuse(`is ${depth} levels deep; the limit is ${LIMITS.depth}`);
  if (complexity > LIMITS.complexity) {
    refuse(
      `has a complexity of ${complexity}; the limit is ${LIMITS.complexity}. Ask for fewer fields or smaller pages`,
    );
  }
}

function measure(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Record<string, unknown>,
  context: object,
) {
  // It measures the first operation it finds, so the one that will run is put in front.
  const definitions = [operation, ...document.definitions.filter((definition) => definition !== operation)];
  try {
    return complexityFromQuery({ ...document, definitions }, { schema, ctx: context, variables });
  } catch (error) {
    // Wrong variables: executing says so, better than this could.
    if (isVariableError(error)) return null;
    throw error;
  }
}

function isVariableError(error: unknown): error is GraphQLError {
  return error instanceof Error && error.name === 'GraphQLError';
}

function checkAliases(document: DocumentNode): void {
  let aliases = 0;
  let asksForSchema = false;
  visit(document, {
    Field: ({ alias, name }) => {
      if (alias) aliases += 1;
      if (name.value === '__schema' || name.value === '__type') asksForSchema = true;
    },
  });
  if (aliases > LIMITS.aliases) refuse(`has ${aliases} aliases; the limit is ${LIMITS.aliases}`);
  if (asksForSchema && aliases > LIMITS.aliasesBesideSchema)
    refuse(`has ${aliases} aliases; the limit beside __schema and __type is ${LIMITS.aliasesBesideSchema}`);
}

/** The names under which a selection answers fields, those of its fragments included; `__typename` costs nothing. */
function rootFieldsOf(
  document: DocumentNode,
  { selections }: SelectionSetNode,
  fragments = new Map(
    document.definitions.flatMap((part) => (part.kind === Kind.FRAGMENT_DEFINITION ? [[part.name.value, part]] : [])),
  ),
  names = new Set<string>(),
): Set<string> {
  for (const selection of selections) {
    if (selection.kind === Kind.FIELD) {
      if (selection.name.value !== '__typename') names.add((selection.alias ?? selection.name).value);
    } else if (selection.kind === Kind.INLINE_FRAGMENT) {
      rootFieldsOf(document, selection.selectionSet, fragments, names);
    } else {
      const fragment = fragments.get(selection.name.value);
      // Spread once more it adds nothing.
      fragments.delete(selection.name.value);
      if (fragment) rootFieldsOf(document, fragment.selectionSet, fragments, names);
    }
  }
  return names;
}

function refuse(what: string): never {
  throw invalid('', `The operation ${what}.`);
}
