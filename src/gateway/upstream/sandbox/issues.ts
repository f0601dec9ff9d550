import type { ZodError } from 'zod';
import { invalid, shorten, type ValidationError } from '../../../platform/errors.ts';

/**
 * The first thing that a check found, with its path as OpenAI writes it: `messages[0].content`.
 * @param root what was checked, when it is itself a member: `sandbox`.
 */
export function firstIssue(error: ZodError, root = ''): ValidationError {
  const [issue] = error.issues;
  const path = (issue?.path ?? []).reduce<string>((so, step) => {
    if (typeof step === 'number') return `${so}[${step}]`;
    return so ? `${so}.${String(step)}` : String(step);
  }, root);
  return invalid(shorten(path), shorten(issue?.message ?? 'Invalid input', 300));
}
