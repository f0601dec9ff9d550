import { complexityFromQuery } from '@pothos/plugin-complexity';
import {
  type DocumentNode,
  type GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  type OperationDefinitionNode,
  parse,
  type Source,
  visit,
} from 'graphql';
import { ValidationError } from '../../platform/errors.ts';

/** What one operation may ask for. Generous for screens, small enough that no operation holds the server up. */
export const LIMITS = {
  /** Words and signs of the document; counted while parsing, which stops there. */
  tokens: 2_000,
  depth: 16,
  /** Aliases in the whole document. */
  aliases: 100,
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
  const aliases = countAliases(document);
  if (aliases > LIMITS.aliases) refuse(`has ${aliases} aliases; the limit is ${LIMITS.aliases}`);
  const operation = getOperationAST(document, operationName);
  if (!operation) return;
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

function countAliases(document: DocumentNode): number {
  let count = 0;
  visit(document, {
    Field: ({ alias }) => {
      if (alias) count += 1;
    },
  });
  return count;
}

function refuse(what: string): never {
  throw new ValidationError([{ path: '', message: `The operation ${what}.` }]);
}
