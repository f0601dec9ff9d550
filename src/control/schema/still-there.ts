import { ConflictError } from '../../platform/errors.ts';

/**
 * What is read back after a change, which is committed by then and holds up nobody else.
 * @param what the kind of thing, for the message
 * @throws ConflictError when somebody deleted it meanwhile.
 */
export function stillThere<T>(what: string, found: T | null): T {
  if (found !== null) return found;
  throw new ConflictError(`The change was made, but right after it somebody deleted the ${what}.`);
}
