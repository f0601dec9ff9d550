import { ConflictError } from '../../platform/errors.ts';

/**
 * Refuses a change that was based on an old version.
 * @param what names the thing in a sentence: `route "chat"`
 * @param based what the input says; null: it does not matter
 * @throws ConflictError
 */
export function requireVersion(what: string, current: number, based: number | null | undefined): void {
  if (based == null || based === current) return;
  throw new ConflictError(`The ${what} is at version ${current}, not ${based}: read it again.`);
}
