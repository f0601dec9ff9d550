import type { JournalEntry } from './decode.ts';
import type { AttemptOutcome, CompletionOrigin, CompletionOutcome, Intent } from './records.ts';
import type { Position } from './segments.ts';

/** An attempt and how it ended; null while it runs. */
export interface OpenAttempt {
  intent: Intent;
  outcome: AttemptOutcome | null;
}

/** A completion whose final record has not been read yet. */
export interface OpenCompletion {
  origin: CompletionOrigin;
  /** Where its first intent is. */
  position: Position;
  attempts: OpenAttempt[];
}

export interface SettledAttempt {
  intent: Intent;
  outcome: AttemptOutcome;
}

export interface SettledCompletion {
  origin: CompletionOrigin;
  outcome: CompletionOutcome;
  attemptCount: number;
}

/** What one record settled. */
export interface SettledEntry {
  attempt: SettledAttempt | null;
  completion: SettledCompletion | null;
}

const NOTHING: SettledEntry = { attempt: null, completion: null };

/**
 * Joins settlements with their intents while the journal is read forward. It holds what is open, so its size follows
 * the number of running completions.
 */
export class OpenCompletions {
  readonly #open = new Map<string, OpenCompletion>();

  /**
   * Takes the next record of a completion. A settlement without an open intent was drained before reading began here,
   * and the second settlement of an attempt changes nothing but may bring the completion's end.
   */
  apply(entry: Exclude<JournalEntry, { kind: 'PRICE' | 'FACT' }>, position: Position): SettledEntry {
    if (entry.kind === 'INTENT') {
      this.#intend(entry.intent, position);
      return NOTHING;
    }
    if (entry.kind === 'UNATTEMPTED')
      return { attempt: null, completion: { origin: entry.origin, outcome: entry.completion, attemptCount: 0 } };
    const open = this.#open.get(entry.completionId);
    if (!open) return NOTHING;
    const attempt = open.attempts.find(({ intent }) => intent.number === entry.number);
    let settled: SettledAttempt | null = null;
    if (attempt?.outcome === null) {
      const { intent } = attempt;
      attempt.outcome = { priceVersionId: intent.priceVersionId, ...entry.attempt };
      settled = { intent, outcome: attempt.outcome };
    }
    if (entry.completion) this.#open.delete(entry.completionId);
    return {
      attempt: settled,
      completion: entry.completion && {
        origin: open.origin,
        outcome: entry.completion,
        attemptCount: open.attempts.length,
      },
    };
  }

  /** Where reading must begin to meet everything that is open; null when nothing is. */
  oldest(): Position | null {
    // A Map keeps the order of insertion, which is that of the journal.
    return this.#open.values().next().value?.position ?? null;
  }

  values(): Iterable<OpenCompletion> {
    return this.#open.values();
  }

  #intend(intent: Intent, position: Position): void {
    const attempt = { intent, outcome: null };
    const open = this.#open.get(intent.origin.completionId);
    if (!open) this.#open.set(intent.origin.completionId, { origin: intent.origin, position, attempts: [attempt] });
    else if (!open.attempts.some(({ intent: known }) => known.number === intent.number)) open.attempts.push(attempt);
  }
}
