import { CancelledError, type SignalboxError } from '../platform/errors.ts';
import type { Attempt } from './attempt.ts';
import type { CompletionReport } from './completion.ts';
import type { AttemptOutcome, CompletionOutcome, LedgerWriter, RequestStatus } from './ledger/records.ts';
import { endAttempt, outcomeOf, type Run, reportOf } from './run.ts';

/** Puts the ends of attempts and completions on the ledger, and tells who listens. */
export class Settlements {
  readonly #ledger: LedgerWriter;
  readonly #listeners = new Set<(report: CompletionReport) => void>();

  constructor(ledger: LedgerWriter) {
    this.#ledger = ledger;
  }

  /** Calls `listener` at the end of each completion. */
  onFinished(listener: (report: CompletionReport) => void): void {
    this.#listeners.add(listener);
  }

  /** An attempt has failed, and another one follows. */
  async attempt(run: Run, attempt: Attempt, error: SignalboxError): Promise<void> {
    const outcome = endAttempt(run, attempt, 'FAILED', error);
    run.last = attempt;
    await this.#settle(attempt, outcome, null);
  }

  /**
   * Ends a completion that failed: with the attempt that is on its way, or, when none is, with the last one that ended, so
   * that it is on the ledger without waiting for the next start. Null: nothing was ever sent.
   * @param told why the completion failed
   * @param own why that attempt did
   */
  async failure(run: Run, told: SignalboxError, own: SignalboxError = told): Promise<CompletionReport | null> {
    const status = told instanceof CancelledError ? 'CANCELLED' : 'FAILED';
    if (run.open) return this.#finish(run, run.open, endAttempt(run, run.open, status, own), status, told);
    const { last } = run;
    const outcome = run.reports.at(-1);
    return last && outcome ? this.#finish(run, last, outcome, status, told) : null;
  }

  /** Puts the end of the last attempt and of the completion on the ledger; then both are final. */
  async last(
    run: Run,
    attempt: Attempt,
    status: RequestStatus,
    error: SignalboxError | null,
  ): Promise<CompletionReport> {
    return this.#finish(run, attempt, endAttempt(run, attempt, status, error), status, error);
  }

  /** A completion that made no attempt has ended. */
  async unattempted(run: Run, outcome: CompletionOutcome): Promise<CompletionReport> {
    await this.#ledger.complete(run.origin, outcome);
    return this.#tell(run, outcome);
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
    await this.#settle(attempt, outcome, completion);
    return this.#tell(run, completion);
  }

  /** What was set aside and not spent is free once the settlement is durable, or is going to be. */
  async #settle(attempt: Attempt, outcome: AttemptOutcome, completion: CompletionOutcome | null): Promise<void> {
    try {
      await this.#ledger.settle({ intent: attempt.intent, attempt: outcome, completion }, attempt.price);
    } finally {
      attempt.held?.settle(outcome.cost);
    }
  }

  #tell(run: Run, outcome: CompletionOutcome): CompletionReport {
    const report = reportOf(run, outcome);
    for (const listener of this.#listeners) listener(report);
    return report;
  }
}
