import type { z } from 'zod';
import { ValidationError } from '../../platform/errors.ts';

/** Beyond this an answer helps nobody. */
export const MAX_ISSUES = 20;

/**
 * An input after the rules that GraphQL's types cannot express.
 * @throws ValidationError with one issue per wrong field, at its dotted path below `input`. Values are never quoted:
 * they may be secrets.
 */
export function parseInput<Schema extends z.ZodType>(schema: Schema, input: z.input<Schema>): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, MAX_ISSUES);
  throw new ValidationError(issues.map(({ path, message }) => ({ path: path.join('.'), message })));
}
