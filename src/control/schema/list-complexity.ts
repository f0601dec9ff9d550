import type { Snapshot } from '../../gateway/snapshot/snapshot.ts';
import type { Context } from './context.ts';

/** As every list counts that says nothing else, so that what is refused depends on the installation only where it is large. */
const LEAST = 10;

/**
 * The `complexity` of a list without pages: what is below it counts once for each thing there is.
 * @param countOf how many there are, about
 */
export function listComplexity(countOf: (snapshot: Snapshot) => number) {
  return (_args: object, { services }: Context) => ({
    field: 1,
    multiplier: Math.max(LEAST, Math.ceil(countOf(services.snapshots.current))),
  });
}
