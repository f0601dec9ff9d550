import { ConflictError } from '../../platform/errors.ts';

/** What a client asked for of a thing, in Prisma's words. */
export interface Wanted {
  select?: object;
}

/**
 * Reads a thing after a change, which is committed by then and holds up nobody else.
 * @param what the kind of thing, for the message
 * @param wanted what the client asked for. When that is `__typename` alone, its selection is empty, which Prisma refuses;
 *   `read` gets none then.
 * @throws ConflictError when somebody deleted it meanwhile.
 */
export async function readBack<T>(
  what: string,
  wanted: Wanted,
  read: (wanted: Wanted) => PromiseLike<T | null>,
): Promise<T> {
  const isEmpty = wanted.select !== undefined && Object.keys(wanted.select).length === 0;
  const found = await read(isEmpty ? {} : wanted);
  if (found !== null) return found;
  throw new ConflictError(`The change was made, but right after it somebody deleted the ${what}.`);
}
