import SchemaBuilder, {
  BasePlugin,
  type FieldNullability,
  type InputFieldMap,
  type PothosOutputFieldConfig,
  PothosSchemaError,
  type SchemaTypes,
  type TypeParam,
} from '@pothos/core';
import { RequestCache } from '@pothos/plugin-scope-auth';
import type { GraphQLFieldResolver } from 'graphql';
import type { Caller } from '../../gateway/admission/caller.ts';
import { denial } from './access.ts';
import type { Context } from './context.ts';

declare global {
  export namespace PothosSchemaTypes {
    interface Plugins<Types extends SchemaTypes> {
      subscription: SubscriptionPlugin<Types>;
    }

    interface SubscriptionFieldOptions<
      Types extends SchemaTypes,
      Type extends TypeParam<Types>,
      Nullable extends FieldNullability<Type>,
      Args extends InputFieldMap,
      ResolveShape,
      ResolveReturnShape,
    > {
      /**
       * Whether this caller, as they are now, may see this event; false: it is passed over. Whoever filters earlier, for
       * speed, still says it here: their caller may have lost a role since. May throw to end the subscription.
       */
      visible?: (event: NoInfer<ResolveShape>, caller: Caller) => boolean;
    }
  }
}

/**
 * Wraps the source of every subscription, so that a resolver may return a plain async generator:
 * - `context.signal` aborts as soon as the client unsubscribes or leaves, also while the source waits for its next
 *   event; a bare generator would notice only at that event, or never;
 * - permission is checked again for every event, and so is whether the caller may see it (`visible`).
 */
class SubscriptionPlugin<Types extends SchemaTypes> extends BasePlugin<Types> {
  override wrapSubscribe(
    subscribe: GraphQLFieldResolver<unknown, Types['Context'], object> | undefined,
    fieldConfig: PothosOutputFieldConfig<Types>,
  ): GraphQLFieldResolver<unknown, Types['Context'], object> | undefined {
    if (!subscribe || fieldConfig.kind !== 'Subscription') return subscribe;
    if (fieldConfig.pothosOptions.errors) {
      throw new PothosSchemaError(`Subscription.${fieldConfig.name}: failures are events, not a result union.`);
    }
    const { authScopes } = fieldConfig.pothosOptions;
    const { visible } = fieldConfig.pothosOptions as { visible?: (event: unknown, caller: Caller) => boolean };
    if (typeof authScopes !== 'object') return subscribe;
    return async (source, args, operation, info) => {
      const controller = new AbortController();
      const context = operation as Context;
      const stop = linkSignals(context.signal, controller);
      context.signal = controller.signal;
      const permit = async (event: unknown) => {
        context.caller = await context.renewCaller();
        RequestCache.clearForContext(operation);
        this.builder.runAuthScopes(operation, authScopes, () => denial(context.caller));
        return visible?.(event, context.caller) ?? true;
      };
      try {
        const events = (await subscribe(source, args, operation, info)) as AsyncIterable<unknown>;
        return liveSource(events, controller, permit, stop);
      } catch (error) {
        stop();
        throw error;
      }
    };
  }
}

export const subscriptionPlugin = 'subscription' as const;
SchemaBuilder.registerPlugin(subscriptionPlugin, SubscriptionPlugin);

/** A source that always has another event lets others have their turn after so many. */
const EVENTS_AT_ONCE = 64;

/** Aborts `inner` with `outer`, for the same reason. Returns what undoes it, so that nothing is left on a signal that lives longer. */
function linkSignals(outer: AbortSignal, inner: AbortController): () => void {
  const abort = () => inner.abort(outer.reason);
  if (outer.aborted) abort();
  else outer.addEventListener('abort', abort, { once: true });
  return () => outer.removeEventListener('abort', abort);
}

/**
 * An iterator over `events` that ends at once when the controller aborts, and whose `return()` aborts it at once,
 * even while `next()` is pending.
 * @param permit called before each event is passed on; false: this one is not. Throws to end the subscription
 * @param ended called once, when it is over for whatever reason
 */
export function liveSource<T>(
  events: AsyncIterable<T>,
  controller: AbortController,
  permit?: (event: T) => Promise<boolean>,
  ended?: () => void,
): AsyncIterableIterator<T> {
  const iterator = events[Symbol.asyncIterator]();
  const done = { value: undefined, done: true } as const;
  let taken = 0;
  let isOver = false;
  /** Of those who wait in `next()`. A promise to race against would hold every event until the end. */
  const leaving = new Set<() => void>();

  function end(): void {
    if (isOver) return;
    isOver = true;
    ended?.();
    controller.abort();
    // Runs the source's own clean-up. A generator that is waiting gets to it once its wait ends, which the signal does.
    Promise.resolve(iterator.return?.()).catch(() => undefined);
  }

  /** Ends it for whoever waits in `next()`, too. */
  function finish(): void {
    end();
    for (const leave of leaving) leave();
    leaving.clear();
  }
  controller.signal.addEventListener('abort', finish, { once: true });
  if (controller.signal.aborted) finish();

  async function advance(): Promise<IteratorResult<T>> {
    try {
      while (true) {
        taken += 1;
        if (taken % EVENTS_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
        const result = await iterator.next();
        if (isOver) return done;
        if (result.done) finish();
        else if (permit && !(await permit(result.value))) continue;
        return isOver ? done : result;
      }
    } catch (error) {
      // What a source throws because it was told to stop is no news to anybody.
      if (isOver) return done;
      controller.signal.removeEventListener('abort', finish);
      end();
      throw error;
    }
  }

  /** Resolves with the next event, or at once when it is over. */
  function next(): Promise<IteratorResult<T>> {
    if (isOver) return Promise.resolve(done);
    return new Promise((resolve, reject) => {
      const leave = () => resolve(done);
      leaving.add(leave);
      advance()
        .then(resolve, reject)
        .finally(() => leaving.delete(leave));
    });
  }

  return {
    next,
    return: async () => {
      finish();
      return done;
    },
    throw: async (error) => {
      finish();
      throw error;
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
