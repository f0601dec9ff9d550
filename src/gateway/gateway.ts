import { CancelledError, invalid, OverloadedError, SignalboxError, ValidationError } from '../platform/errors.ts';
import { uuidv7 } from '../platform/ids.ts';
import type { Log } from '../platform/log.ts';
import type { Settings } from '../platform/settings.ts';
import { admit } from './admission/admit.ts';
import type { Caller } from './admission/caller.ts';
import { sandboxControls } from './asked.ts';
import { Attempt } from './attempt.ts';
import type { CompletionEvent, CompletionReport, CompletionRequest } from './completion.ts';
import type { AttemptOutcome, LedgerWriter, RequestStatus } from './ledger/records.ts';
import { ModelLists } from './model-lists.ts';
import { receiveBody, receiveStream, toFailure } from './relay.ts';
import { type KeyRest, KeyRing, keysOf } from './routing/keys.ts';
import { Plan, type Step } from './routing/plan.ts';
import { listModels, Turns } from './routing/resolve.ts';
import { cancel, endAttempt, outcomeOf, type Run, reportOf, startAnswer, startRun } from './run.ts';
import type { SnapshotKeeper } from './snapshot/keeper.ts';
import { toUpstreamCall } from './upstream/call.ts';
import type { ChatCall, DialectCall, InlineImage } from './upstream/dialect.ts';
import { DIALECTS } from './upstream/dialects.ts';
import type { Failure } from './upstream/failure.ts';
import { RemoteImages } from './upstream/remote-images.ts';
import { Transport } from './upstream/transport.ts';
import { Watchdog } from './upstream/watchdog.ts';

type Call = ChatCall | DialectCall;

const NO_IMAGES: ReadonlyMap<string, InlineImage> = new Map();

export interface GatewayParts {
  snapshots: SnapshotKeeper;
  ledger: LedgerWriter;
  settings: Pick<Settings, 'anonymousCompletions' | 'firstTokenTimeoutMs' | 'stallTimeoutMs' | 'maxRunningCompletions'>;
  log: Log;
}

/** The data plane: takes completions, sends them to providers, and keeps the record of each. */
export class Gateway {
  readonly #parts: GatewayParts;
  readonly #transport = new Transport();
  readonly #images = new RemoteImages();
  readonly #turns = new Turns();
  readonly #keys = new KeyRing();
  /** The providers' own lists of their models. */
  readonly modelLists = new ModelLists(this.#transport, this.#keys);
  readonly #running = new Map<string, Run>();
  readonly #listeners = new Set<(report: CompletionReport) => void>();
  #isClosing = false;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
  }

  /** Completions on their way now. */
  get running(): number {
    return this.#running.size;
  }

  /** Calls `listener` at the end of each completion. */
  onFinished(listener: (report: CompletionReport) => void): void {
    this.#listeners.add(listener);
  }

  /** How long a key rests on this server, and why; null: it does not. */
  restOf(keyId: string): Readonly<KeyRest> | null {
    return this.#keys.restOf(keyId);
  }

  /** The names a caller may put in `model`, each with who answers. */
  models(caller: Caller): Map<string, string> {
    return listModels(this.#parts.snapshots.current, caller);
  }

  /**
   * The journey of a completion: admit → pick → intend → dispatch → relay → settle. Every way in takes it.
   * Failures are its last event, not exceptions. Whoever stops reading early must call `return()` (as `for await`
   * does), call `leave`, or abort the request's signal: each stops the upstream call at once.
   */
  async *complete(request: CompletionRequest): AsyncGenerator<CompletionEvent, void, undefined> {
    const requestId = request.requestId ?? uuidv7();
    let run: Run;
    try {
      run = this.#admit(requestId, request);
    } catch (error) {
      yield { type: 'failed', error: this.#expected(error), report: null, requestId };
      return;
    }
    const leave = () => this.leave(requestId);
    this.#running.set(requestId, run);
    request.signal?.addEventListener('abort', leave, { once: true });
    if (request.signal?.aborted) leave();
    try {
      const { isStreamed, wantsUsage } = run.admitted;
      yield { type: 'admitted', requestId, isStreamed, wantsUsage };
      yield* this.#tryTargets(run);
    } catch (thrown) {
      const error = this.#expected(thrown);
      const report = await this.#close(run, error).catch(() => null);
      yield { type: 'failed', error, report, requestId };
    } finally {
      request.signal?.removeEventListener('abort', leave);
      // Still open here: the reader went away while it was being served.
      if (run.open) {
        leave();
        await this.#settle(run, run.open, 'CANCELLED', run.cancelled).catch((error) => this.#expected(error));
      }
      this.#running.delete(requestId);
    }
  }

  /** The client of this completion has left: the call to the provider ends now. Nothing happens if it is over. */
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
    await this.#transport.close();
    await this.#images.close();
  }

  #admit(requestId: string, request: CompletionRequest): Run {
    if (this.#isClosing) throw new OverloadedError('Signalbox is shutting down. Try again shortly.');
    const { settings, snapshots } = this.#parts;
    const rules = { anonymousCompletions: settings.anonymousCompletions, mostRunning: settings.maxRunningCompletions };
    const admitted = admit(request, snapshots.current, this.#running.size, rules, this.#turns);
    return startRun(requestId, request, admitted);
  }

  async *#tryTargets(run: Run): AsyncGenerator<CompletionEvent, void, undefined> {
    const { resolution, ownKeys } = run.admitted;
    const plan = new Plan(resolution.targets, (provider, tried) => this.#keys.choose(keysOf(provider, ownKeys), tried));
    let failed: SignalboxError | null = null;
    for (let step = plan.first(); step; ) {
      const call = await this.#prepare(run, step);
      if (call instanceof ValidationError) {
        // This provider's dialect cannot say it; another one may.
        step = plan.after(step, 'OTHER_TARGET');
        if (!step) throw failed ?? call;
        continue;
      }
      run.warnings = call.warnings;
      const attempt = new Attempt(run.admitted, run.origin, step, call.raisedLimit ?? null);
      // Durable before anything is dispatched.
      await this.#parts.ledger.intend(attempt.intent, attempt.price);
      run.open = attempt;
      const failure = yield* this.#dispatch(run, attempt, call);
      if (!failure) return;
      failed = failure.error;
      attempt.upstreamStatus = failure.upstreamStatus;
      if (failure.key && attempt.key) this.#keys.rest(attempt.key.id, failure.key, failure.retryAfterMs);
      step = run.hasStarted ? null : plan.after(step, failure.remedy);
      if (step) {
        await this.#settleAttempt(run, attempt, failure.error);
        continue;
      }
      const report = await this.#close(run, failure.error);
      yield { type: 'failed', error: failure.error, report, requestId: run.requestId };
    }
  }

  /** The request in the words of the target's dialect; the error when those cannot say it. */
  async #prepare(run: Run, { target: { model, provider } }: Step): Promise<Call | ValidationError> {
    const { asked, isStreamed, wantsUsage } = run.admitted;
    const dialect = DIALECTS[provider.dialect];
    const facts = { kind: provider.kind, model, requestId: run.requestId, startedAt: run.origin.startedAt };
    try {
      if (!('chat' in asked)) return dialect.prepareEmbeddings({ body: asked, ...facts });
      const addresses = dialect.remoteImages(asked);
      const images = addresses.length > 0 ? await this.#fetchImages(run, addresses) : NO_IMAGES;
      return dialect.prepare({ body: asked, isStreamed, wantsUsage, images, ...facts });
    } catch (error) {
      if (error instanceof ValidationError) return error;
      // What JSON.parse reads at any depth, JSON.stringify writes only down to the end of the stack.
      if (error instanceof RangeError) return invalid('', 'The request is nested too deeply for this provider.');
      throw error;
    }
  }

  /** Once for all attempts; leaving ends it, as it ends a call to a provider. */
  async #fetchImages(run: Run, addresses: readonly string[]): Promise<ReadonlyMap<string, InlineImage>> {
    const leaving = new AbortController();
    run.exchange = { abort: (reason) => leaving.abort(reason) };
    if (run.cancelled) leaving.abort(run.cancelled);
    try {
      run.images ??= await this.#images.fetch(addresses, leaving.signal);
      return run.images;
    } finally {
      run.exchange = null;
    }
  }

  /** One upstream call. Returns what went wrong, or null when the answer is complete, settled and yielded. */
  async *#dispatch(run: Run, attempt: Attempt, call: Call): AsyncGenerator<CompletionEvent, Failure | null, undefined> {
    const { settings } = this.#parts;
    const { provider, key } = attempt;
    const reader = run.admitted.isStreamed && 'openStream' in call ? call.openStream() : null;
    const limits = { firstTokenMs: settings.firstTokenTimeoutMs, stallMs: settings.stallTimeoutMs };
    const accept = reader ? 'text/event-stream' : 'application/json';
    const { asked } = run.admitted;
    const isTranslated = provider.kind === 'SANDBOX' && provider.dialect !== 'OPENAI';
    const sandbox = isTranslated ? sandboxControls(asked, run.request.sandbox) : run.request.sandbox;
    const exchange = this.#transport.send(
      'POST',
      toUpstreamCall(provider, key, { path: call.path, body: call.body, accept, sandbox }),
    );
    const watchdog = new Watchdog(exchange, provider.timeoutMs);
    run.exchange = exchange;
    if (run.cancelled) exchange.abort(run.cancelled);
    let isComplete = false;
    try {
      if (reader) {
        watchdog.arm('FIRST_TOKEN', limits.firstTokenMs);
        let usageEvent: string | null = null;
        for await (const part of receiveStream(exchange, reader, attempt, watchdog, limits)) {
          if (!run.hasStarted) yield { type: 'started', head: startAnswer(run, attempt) };
          if (part.events.length > 0) yield { type: 'events', events: part.events };
          usageEvent = part.usageEvent ?? usageEvent;
        }
        isComplete = true;
        const report = await this.#settle(run, attempt, 'SUCCEEDED', null);
        yield { type: 'finished', report, usageEvent };
      } else {
        const answer = await receiveBody(exchange, call, attempt);
        isComplete = true;
        const report = await this.#settle(run, attempt, 'SUCCEEDED', null);
        yield { type: 'started', head: startAnswer(run, attempt) };
        yield { type: 'body', ...answer };
        yield { type: 'finished', report, usageEvent: null };
      }
      return null;
    } catch (error) {
      if (isComplete) throw error;
      return toFailure(error, attempt, run.cancelled);
    } finally {
      watchdog.stop();
      run.exchange = null;
      if (!isComplete) exchange.abort(run.cancelled ?? new CancelledError('The attempt has ended.'));
    }
  }

  /** Puts the end of an attempt that another one follows on the ledger. */
  async #settleAttempt(run: Run, attempt: Attempt, error: SignalboxError): Promise<void> {
    const outcome = endAttempt(run, attempt, 'FAILED', error);
    run.last = attempt;
    await this.#parts.ledger.settle({ intent: attempt.intent, attempt: outcome, completion: null }, attempt.price);
  }

  /**
   * Ends a completion that failed: with the attempt that is on its way, or, when none is, with the last one that ended, so
   * that it is on the ledger without waiting for the next start. Null: nothing was ever sent.
   */
  async #close(run: Run, error: SignalboxError): Promise<CompletionReport | null> {
    const status = error instanceof CancelledError ? 'CANCELLED' : 'FAILED';
    if (run.open) return this.#settle(run, run.open, status, error);
    const { last } = run;
    const outcome = run.reports.at(-1);
    return last && outcome ? this.#finish(run, last, outcome, status, error) : null;
  }

  /** Puts the end of the last attempt and of the completion on the ledger; then both are final. */
  async #settle(
    run: Run,
    attempt: Attempt,
    status: RequestStatus,
    error: SignalboxError | null,
  ): Promise<CompletionReport> {
    if (status === 'SUCCEEDED' && attempt.key) this.#keys.answered(attempt.key.id, attempt.intent.startedAt);
    return this.#finish(run, attempt, endAttempt(run, attempt, status, error), status, error);
  }

  async #finish(
    run: Run,
    attempt: Attempt,
    outcome: AttemptOutcome,
    status: RequestStatus,
    error: SignalboxError | null,
  ): Promise<CompletionReport> {
    run.last = null;
    const completion = outcomeOf(run, attempt, status, error);
    await this.#parts.ledger.settle({ intent: attempt.intent, attempt: outcome, completion }, attempt.price);
    const report = reportOf(run, completion);
    for (const listener of this.#listeners) listener(report);
    return report;
  }

  /** Bugs and faults are logged whole and told as an internal error; expected failures are told as they are. */
  #expected(error: unknown): SignalboxError {
    if (error instanceof SignalboxError) return error;
    this.#parts.log.error({ err: error }, 'a completion failed unexpectedly');
    return new InternalError('Something went wrong inside Signalbox; the log says what.');
  }
}

class InternalError extends SignalboxError {
  readonly code = 'INTERNAL';
}
