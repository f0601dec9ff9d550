import type { AttemptReport } from '../../gateway/completion.ts';
import type { Context } from '../schema/context.ts';
import { readAttempts } from './request-rows.ts';

const loaders = new WeakMap<Context, AttemptLoader>();

/** The attempts of a completion. All that one operation asks for at the same time are read in one statement. */
export function loadAttempts(context: Context, completionId: string): Promise<AttemptReport[]> {
  const loader = loaders.get(context) ?? new AttemptLoader(context);
  loaders.set(context, loader);
  return loader.load(completionId);
}

class AttemptLoader {
  readonly #context: Context;
  #batch: { ids: Set<string>; attempts: Promise<Map<string, AttemptReport[]>> } | null = null;

  constructor(context: Context) {
    this.#context = context;
  }

  async load(completionId: string): Promise<AttemptReport[]> {
    this.#batch ??= this.#open();
    this.#batch.ids.add(completionId);
    return (await this.#batch.attempts).get(completionId) ?? [];
  }

  /** The fields of a list are resolved in one turn of the event loop; the statement goes out after it. */
  #open() {
    const ids = new Set<string>();
    const attempts = new Promise((resolve) => setImmediate(resolve)).then(() => {
      this.#batch = null;
      return readAttempts(this.#context.services.pool, [...ids]);
    });
    return { ids, attempts };
  }
}
