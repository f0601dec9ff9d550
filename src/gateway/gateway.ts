import {
  BudgetExceededError,
  CancelledError,
  InsufficientCreditsError,
  OverloadedError,
  SignalboxError,
} from '../platform/errors.ts';
import { uuidv7 } from '../platform/ids.ts';
import type { Log } from '../platform/log.ts';
import { picodollars } from '../platform/money.ts';
import type { Settings } from '../platform/settings.ts';
import { admit } from './admission/admit.ts';
import type { Caller } from './admission/caller.ts';
import type { Leases } from './allowances/leases.ts';
import { Attempt } from './attempt.ts';
import type { CompletionEvent, CompletionReport, CompletionRequest } from './completion.ts';
import { type Call, Dispatcher } from './dispatch.ts';
import { type RouteState, type RouteWish, selectRoute, stateOfRoute } from './inspect-route.ts';
import type { LedgerWriter } from './ledger/records.ts';
import { ModelLists } from './model-lists.ts';
import { toFailure, type WholeAnswer } from './relay.ts';
import { type Claims, type Once, Replays } from './replay/replay.ts';
import { type CachedAnswer, type Recording, ResponseCache } from './response-cache.ts';
import type { Explanation } from './routing/explain.ts';
import type { KeyRest } from './routing/keys.ts';
import type { Plan, Step } from './routing/plan.ts';
import { listModels } from './routing/resolve.ts';
import { cachedOutcome, cancel, choiceOf, pause, type Run, startAnswer, startRun } from './run.ts';
import { setAside } from './set-aside.ts';
import { Settlements } from './settle.ts';
import type { SnapshotKeeper } from './snapshot/keeper.ts';
import type { RouteEntry } from './snapshot/snapshot.ts';
import { Steering } from './steering.ts';
import type { Failure } from './upstream/failure.ts';
import { Transport } from './upstream/transport.ts';
import { restartAfter } from './verdict.ts';

export interface GatewayParts {
  snapshots: SnapshotKeeper;
  ledger: LedgerWriter;
  leases: Leases;
  settings: Pick<
    Settings,
    | 'anonymousCompletions'
    | 'firstTokenTimeoutMs'
    | 'stallTimeoutMs'
    | 'maxRunningCompletions'
    | 'circuitProbeMs'
    | 'responseCacheBytes'
    | 'resumeGraceMs'
    | 'replayBytes'
  >;
  claims: Claims;
  log: Log;
}

/** The data plane: takes completions, sends them to providers, and keeps the record of each. */
export class Gateway {
  readonly #parts: GatewayParts;
  readonly #transport = new Transport();
  readonly #dispatcher: Dispatcher;
  readonly #steering: Steering;
  readonly #settlements: Settlements;
  readonly #cache: ResponseCache;
  readonly #replays: Replays;
  /** The providers' own lists of their models. */
  readonly modelLists: ModelLists;
  readonly #running = new Map<string, Run>();
  #isClosing = false;

  constructor(parts: GatewayParts) {
    const { settings, claims, log } = parts;
    this.#parts = parts;
    this.#dispatcher = new Dispatcher(this.#transport, settings);
    this.#steering = new Steering(settings.circuitProbeMs);
    this.#settlements = new Settlements(parts.ledger);
    this.#cache = new ResponseCache(settings.responseCacheBytes);
    this.#replays = new Replays({ claims, log, graceMs: settings.resumeGraceMs, mostBytes: settings.replayBytes });
    this.modelLists = new ModelLists(this.#transport, this.#steering.health.keys);
  }

  /** Completions on their way now. */
  get running(): number {
    return this.#running.size;
  }

  /** Circuits that are open on this server now. */
  get openCircuits(): number {
    return this.#steering.health.openCircuits;
  }

  /** Calls `listener` at the end of each completion. */
  onFinished(listener: (report: CompletionReport) => void): void {
    this.#settlements.onFinished(listener);
  }

  /** How long a key rests on this server, and why; null: it does not. */
  restOf(keyId: string): Readonly<KeyRest> | null {
    return this.#steering.health.keys.restOf(keyId);
  }

  /** The names a caller may put in `model`, each with who answers. */
  models(caller: Caller): Map<string, string> {
    return listModels(this.#parts.snapshots.current, caller);
  }

  /**
   * What a request to a route would be sent to now. Counts as a pick, as the request would.
   * @throws ModelNotFoundError when nothing of the route can be used; ForbiddenError when the caller may not use it
   */
  selectRoute(route: RouteEntry, caller: Caller, wish: RouteWish): Explanation {
    return selectRoute(this.#steering, route, this.#parts.snapshots.current, caller, wish);
  }

  /** How the targets of a route do, as this server sees it. */
  routeState(route: RouteEntry, caller: Caller): RouteState {
    return stateOfRoute(this.#steering, route, this.#parts.snapshots.current, caller);
  }

  /** A provider was asked whether it is there, without a completion. */
  noteProbe(providerId: string, isThere: boolean): void {
    this.#steering.health.noteProbe(providerId, isThere, Date.now());
  }

  /**
   * Forgets the cached answers of a route.
   * @returns how many there were
   */
  clearResponseCache(routeId: string): number {
    return this.#cache.clear(routeId);
  }

  /**
   * The journey of a completion: admit → pick → intend → dispatch → relay → settle. Every way in takes it.
   * Failures are its last event, not exceptions. Whoever stops reading early must call `return()` (as `for await`
   * does), call `leave`, or abort the request's signal: each stops the upstream call at once. With a `key` it may have
   * been made already, and is told again; see `CompletionRequest`.
   */
  complete(request: CompletionRequest): AsyncGenerator<CompletionEvent, void, undefined> {
    return request.key === undefined ? this.#complete(request, null) : this.#completeOnce(request);
  }

  /** A completion that its caller gave a name: made once, in a run of its own, and told to everybody who asks for it. */
  async *#completeOnce(request: CompletionRequest): AsyncGenerator<CompletionEvent, void, undefined> {
    const requestId = request.requestId ?? uuidv7();
    let answer: AsyncGenerator<CompletionEvent, void, undefined>;
    try {
      const running = this.#replays.has(request) ? 0 : this.#running.size;
      const run = this.#admit(requestId, request, running);
      const { signal: _, ...alone } = request;
      answer = await this.#replays.open(run, (once) => this.#complete(alone, once));
    } catch (error) {
      yield { type: 'failed', error: this.#expected(error), report: null, requestId };
      return;
    }
    yield* answer;
  }

  async *#complete(request: CompletionRequest, once: Once | null): AsyncGenerator<CompletionEvent, void, undefined> {
    const requestId = once?.run.requestId ?? request.requestId ?? uuidv7();
    let run: Run;
    try {
      run = once?.run ?? this.#admit(requestId, request, this.#running.size);
    } catch (error) {
      yield { type: 'failed', error: this.#expected(error), report: null, requestId };
      return;
    }
    const leave = () => this.leave(requestId);
    this.#running.set(requestId, run);
    request.signal?.addEventListener('abort', leave, { once: true });
    if (request.signal?.aborted) leave();
    let recording: Recording | null = null;
    try {
      const { isStreamed, wantsUsage } = run.admitted;
      yield { type: 'admitted', requestId, isStreamed, wantsUsage };
      if (once) await once.claim();
      recording = this.#cache.record(run);
      const cached = recording && this.#cache.get(recording);
      if (cached) yield* this.#answerAgain(run, cached);
      else yield* this.#tryTargets(run, this.#steering.plan(run), recording);
    } catch (thrown) {
      const error = this.#expected(thrown);
      const report = await this.#settlements.failure(run, error).catch(() => null);
      yield { type: 'failed', error, report, requestId };
    } finally {
      request.signal?.removeEventListener('abort', leave);
      // Still open here: the reader went away while it was being served.
      if (run.open) {
        leave();
        await this.#settlements.last(run, run.open, 'CANCELLED', run.cancelled).catch((error) => this.#expected(error));
      }
      recording?.release();
      this.#steering.release(run);
      this.#running.delete(requestId);
    }
  }

  /** The client of this completion, which has no key, has left: the call to the provider ends now, if it is not over. */
  leave(requestId: string): void {
    const run = this.#running.get(requestId);
    if (run) cancel(run, new CancelledError('The client left before the answer was complete.'));
  }

  /** Takes no more completions, ends those that run with a clear error, and resolves when all are settled. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const run of this.#running.values())
      cancel(run, new OverloadedError('Signalbox is shutting down. Try again shortly.'));
    const deadline = Date.now() + 2_000;
    while (this.#running.size > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    this.#replays.close();
    await this.#transport.close();
    await this.#dispatcher.close();
  }

  #admit(requestId: string, request: CompletionRequest, running: number): Run {
    if (this.#isClosing) throw new OverloadedError('Signalbox is shutting down. Try again shortly.');
    const { settings, snapshots } = this.#parts;
    const rules = { anonymousCompletions: settings.anonymousCompletions, mostRunning: settings.maxRunningCompletions };
    return startRun(requestId, request, admit(request, snapshots.current, running, rules));
  }

  async *#tryTargets(
    run: Run,
    plan: Plan,
    recording: Recording | null,
  ): AsyncGenerator<CompletionEvent, void, undefined> {
    let failed: SignalboxError | null = null;
    let step = plan.first();
    while (step) {
      if (step.waitMs > 0) {
        await pause(run, step.waitMs);
        step = plan.resume(step);
        continue;
      }
      if (run.cancelled) throw run.cancelled;
      if (!this.#steering.enter(run, step)) {
        step = plan.instead(step);
        continue;
      }
      const attempt = await this.#prepare(run, step).catch((error) => {
        // There is no money for another attempt: why the one before failed is the reason.
        throw failed !== null && isShortage(error) ? failed : error;
      });
      if (attempt instanceof SignalboxError) {
        // This target cannot be asked; another one may.
        failed ??= attempt;
        step = plan.instead(step);
        continue;
      }
      const failure = yield* this.#relay(run, attempt, recording);
      if (!failure) return;
      // What a stand-in alone refuses is not why the completion failed.
      if (failed === null || !plan.isOnlyThis(step, failure)) failed = failure.error;
      // A stand-in that failed before it began to answer is a failure like any other.
      const passing = attempt.attempt.firstTokenAt !== null && run.hasStarted ? restartAfter(run, failure) : failure;
      step = passing && plan.after(step, passing);
      if (step) {
        await this.#settlements.attempt(run, attempt.attempt, failure.error);
        continue;
      }
      const report = await this.#settlements.failure(run, failed, failure.error);
      yield { type: 'failed', error: failed, report, requestId: run.requestId };
      return;
    }
    throw failed ?? this.#steering.refusal(run, plan);
  }

  /**
   * Says the request in the target's dialect, sets aside what it can cost, and writes down what is intended.
   * @returns the error when this target cannot be asked, and another one may
   */
  async #prepare(run: Run, step: Step): Promise<Prepared | SignalboxError> {
    const { ledger, leases } = this.#parts;
    const reserved = await setAside(run, step, leases, (asked) => this.#dispatcher.prepare(run, step.target, asked));
    if (reserved instanceof SignalboxError) {
      this.#steering.release(run);
      return reserved;
    }
    const { call, held } = reserved;
    run.warnings = [...(choiceOf(run.admitted)?.warnings ?? []), ...call.warnings, ...reserved.warnings];
    const attempt = new Attempt(run.admitted, run.origin, step, reserved);
    try {
      for (const fact of run.facts) ledger.record(fact);
      // Durable before anything is dispatched.
      await ledger.intend(attempt.intent, attempt.price);
    } catch (error) {
      held?.settle(null);
      throw error;
    }
    run.open = attempt;
    return { attempt, call };
  }

  /** One upstream call. Returns what went wrong, or null when the answer is complete, settled and yielded. */
  async *#relay(
    run: Run,
    { attempt, call }: Prepared,
    recording: Recording | null,
  ): AsyncGenerator<CompletionEvent, Failure | null, undefined> {
    let body: WholeAnswer | null = null;
    let usageEvent: string | null = null;
    let isFirst = true;
    try {
      for await (const part of this.#dispatcher.send(run, attempt, call)) {
        if ('body' in part) {
          body = part;
          continue;
        }
        if (isFirst) this.#steering.hasAnswered(run, attempt);
        if (isFirst) yield this.#begin(run, attempt, recording);
        isFirst = false;
        usageEvent = part.usageEvent ?? usageEvent;
        if (part.events.length === 0) continue;
        run.nextSeq = (part.events.at(-1)?.seq ?? 0) + 1;
        recording?.add(part.events);
        yield { type: 'events', events: part.events };
      }
    } catch (error) {
      const failure = toFailure(error, attempt, run.cancelled);
      this.#steering.learn(run, attempt, failure);
      return failure;
    }
    this.#steering.learn(run, attempt, null);
    const report = await this.#settlements.last(run, attempt, 'SUCCEEDED', null);
    if (recording) this.#cache.put(recording, run, body, usageEvent, originOf(attempt, report));
    if (body) {
      yield { type: 'started', head: startAnswer(run, attempt) };
      yield { type: 'body', ...body };
    }
    yield { type: 'finished', report, usageEvent };
    return null;
  }

  /** The first event of an answer: it starts, or, where another one has broken off, starts over. */
  #begin(run: Run, attempt: Attempt, recording: Recording | null): CompletionEvent {
    const error = run.hasStarted ? run.brokeOff : null;
    const head = startAnswer(run, attempt);
    if (!error) return { type: 'started', head };
    recording?.restart();
    return { type: 'restarted', head, error };
  }

  /** Answers from the cache: nothing is sent, and it costs nothing. */
  async *#answerAgain(run: Run, cached: CachedAnswer): AsyncGenerator<CompletionEvent, void, undefined> {
    run.warnings = cached.warnings;
    const outcome = cachedOutcome(run, cached, picodollars(0n));
    const report = await this.#settlements.unattempted(run, outcome);
    const { provider, model, targetId, events, body, usageEvent } = cached;
    const { requestId, origin, warnings } = run;
    const facts = { route: origin.routeSlug, startedAt: origin.startedAt, attempts: 0, isCached: true, warnings };
    yield { type: 'started', head: { requestId, provider, model, targetId, ...facts } };
    if (events) yield { type: 'events', events };
    if (body) yield { type: 'body', ...body };
    yield { type: 'finished', report, usageEvent };
  }

  /** Bugs and faults are logged whole and told as an internal error; expected failures are told as they are. */
  #expected(error: unknown): SignalboxError {
    if (error instanceof SignalboxError) return error;
    this.#parts.log.error({ err: error }, 'a completion failed unexpectedly');
    return new InternalError('Something went wrong inside Signalbox; the log says what.');
  }
}

/** An attempt that is on the ledger, and what is sent for it. */
interface Prepared {
  attempt: Attempt;
  call: Call;
}

function originOf({ intent }: Attempt, { model, finishReason, targetId, warnings }: CompletionReport) {
  const { providerId, providerSlug: provider } = intent;
  return { providerId, provider, model: model ?? intent.model, finishReason, targetId, warnings };
}

/** Whether a hard budget, or credits, have too little left. */
function isShortage(error: unknown): boolean {
  return error instanceof BudgetExceededError || error instanceof InsufficientCreditsError;
}

class InternalError extends SignalboxError {
  readonly code = 'INTERNAL';
}
