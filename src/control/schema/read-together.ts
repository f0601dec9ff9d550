import type { Context } from './context.ts';

type Batch = { ids: Set<string>; found: Promise<ReadonlyMap<string, unknown>> };

const open = new WeakMap<Context, Map<string, Batch>>();

/**
 * What `read` finds for one id; undefined: nothing. All ids that an operation asks for in one turn of the event loop,
 * as the fields of a list do, are read at once. Nothing is remembered beyond that.
 * @param what names what is read with everything it depends on besides the ids
 */
export async function readTogether<T>(
  context: Context,
  what: string,
  id: string,
  read: (ids: string[]) => Promise<ReadonlyMap<string, T>>,
): Promise<T | undefined> {
  const batches = open.get(context) ?? new Map<string, Batch>();
  open.set(context, batches);
  const batch = batches.get(what) ?? startBatch(batches, what, read);
  batch.ids.add(id);
  return (await batch.found).get(id) as T | undefined;
}

function startBatch(
  batches: Map<string, Batch>,
  what: string,
  read: (ids: string[]) => Promise<ReadonlyMap<string, unknown>>,
): Batch {
  const ids = new Set<string>();
  const found = new Promise((resolve) => setImmediate(resolve)).then(() => {
    batches.delete(what);
    return read([...ids]);
  });
  const batch = { ids, found };
  batches.set(what, batch);
  return batch;
}
