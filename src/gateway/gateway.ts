import { CancelledError, OverloadedError, SignalboxError } from '../platform/errors.ts';
import { uuidv7 } from '../platform/ids.ts';
import type { Log } from '../platform/log.ts';
import type { Settings } from '../platform/settings.ts';
import { admit } from './admission/admit.ts';
import type { Caller } from './admission/caller.ts';
import { Attempt } from './attempt.ts';
import type { CompletionEvent, CompletionReport, CompletionRequest } from './completion.ts';
import type { LedgerWriter, RequestStatus } from './ledger/records.ts';
import { receiveBody, receiveStream, toFailure } from './relay.ts';
import { listModels, type Target, Turns } from './routing/resolve.ts';
import { cancel, endAttempt, outcomeOf, type Run, reportOf, startAnswer, startRun } from './run.ts';
import type { SnapshotKeeper } from './snapshot/keeper.ts';
import type { Failure } from './upstream/openai/failure.ts';
import { toUpstreamCall } from './upstream/openai/request.ts';
import { Transport } from './upstream/transport.ts';
import { Watchdog } from './upstream/watchdog.ts';

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
  readonly #turns = new Turns();
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
      const report = run.open ? await this.#settle(run, run.open, 'FAILED', error).catch(() => null) : null;
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
  }

  #admit(requestId: string, request: CompletionRequest): Run {
    if (this.#isClosing) throw new OverloadedError('Signalbox is shutting down. Try again shortly.');
    const { settings, snapshots } = this.#parts;
    const rules = { anonymousCompletions: settings.anonymousCompletions, mostRunning: settings.maxRunningCompletions };
    const admitted = admit(request, snapshots.current, this.#running.size, rules, this.#turns);
    return startRun(requestId, request, admitted);
  }

  async *#tryTargets(run: Run): AsyncGenerator<CompletionEvent, void, undefined> {
    const { targets } = run.admitted.resolution;
    let previous: Attempt | null = null;
    for (const [index, target] of targets.entries()) {
      const attempt = new Attempt(run.admitted, run.origin, target, index + 1);
      await this.#intend(run, attempt, previous);
      previous = attempt;
      const failure = yield* this.#dispatch(run, attempt, target);
      if (!failure) return;
      const isLast = run.hasStarted || !failure.tryNext || index === targets.length - 1;
      attempt.upstreamStatus = failure.upstreamStatus;
      if (!isLast) {
        await this.#settleAttempt(run, attempt, failure.error);
        continue;
      }
      const status = failure.error instanceof CancelledError ? 'CANCELLED' : 'FAILED';
      const report = await this.#settle(run, attempt, status, failure.error);
      yield { type: 'failed', error: failure.error, report, requestId: run.requestId };
      return;
    }
  }

  /**
   * Makes the attempt durable before it is dispatched. When that fails after earlier attempts, the last of them closes
   * the completion, so that it is on the ledger without waiting for the next start.
   */
  async #intend(run: Run, attempt: Attempt, previous: Attempt | null): Promise<void> {
    const { ledger } = this.#parts;
    try {
      await ledger.intend(attempt.intent);
      run.open = attempt;
    } catch (thrown) {
      const outcome = run.reports.at(-1);
      if (previous && outcome) {
        const completion = outcomeOf(run, previous, 'FAILED', this.#expected(thrown));
        await ledger.settle({ intent: previous.intent, attempt: outcome, completion });
      }
      throw thrown;
    }
  }

  /** One upstream call. Returns what went wrong, or null when the answer is complete, settled and yielded. */
  async *#dispatch(
    run: Run,
    attempt: Attempt,
    target: Target,
  ): AsyncGenerator<CompletionEvent, Failure | null, undefined> {
    const { settings } = this.#parts;
    const limits = { firstTokenMs: settings.firstTokenTimeoutMs, stallMs: settings.stallTimeoutMs };
    const exchange = this.#transport.post(toUpstreamCall(run.admitted, target, run.request.sandbox));
    const watchdog = new Watchdog(exchange, target.provider.timeoutMs);
    run.exchange = exchange;
    if (run.cancelled) exchange.abort(run.cancelled);
    let isComplete = false;
    try {
      if (run.admitted.isStreamed) {
        watchdog.arm('FIRST_TOKEN', limits.firstTokenMs);
        let usageEvent: string | null = null;
        for await (const part of receiveStream(exchange, attempt, watchdog, limits)) {
          if (!run.hasStarted) yield { type: 'started', head: startAnswer(run, attempt) };
          if (part.events.length > 0) yield { type: 'events', events: part.events };
          usageEvent = part.usageEvent ?? usageEvent;
        }
        isComplete = true;
        const report = await this.#settle(run, attempt, 'SUCCEEDED', null);
        yield { type: 'finished', report, usageEvent };
      } else {
        const body = await receiveBody(exchange, attempt);
        isComplete = true;
        const report = await this.#settle(run, attempt, 'SUCCEEDED', null);
        yield { type: 'started', head: startAnswer(run, attempt) };
        yield { type: 'body', body };
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
    await this.#parts.ledger.settle({ intent: attempt.intent, attempt: outcome, completion: null });
  }

  /** Puts the end of the last attempt and of the completion on the ledger; then both are final. */
  async #settle(
    run: Run,
    attempt: Attempt,
    status: RequestStatus,
    error: SignalboxError | null,
  ): Promise<CompletionReport> {
    const outcome = endAttempt(run, attempt, status, error);
    const completion = outcomeOf(run, attempt, status, error);
    await this.#parts.ledger.settle({ intent: attempt.intent, attempt: outcome, completion });
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
