import { invalid, type SignalboxError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { CompletionEvent, CompletionRequest } from '../completion.ts';
import { cancel, type Run } from '../run.ts';
import { type KeyName, keyNameOf } from './caller-key.ts';
import { type Claim, type Claims, differentInput } from './claims.ts';
import { fingerprintOf } from './fingerprint.ts';
import { CompletionRecord } from './record.ts';
import { tell } from './tell.ts';

export { CALLER_KEY, CALLER_KEY_RULE } from './caller-key.ts';
export { Claims, forgetClaims } from './claims.ts';

/** How long an answer can be attached to after its end. */
const KEPT_MS = 10 * 60_000;

export interface ReplayParts {
  claims: Claims;
  log: Log;
  /** How long a completion goes on while nobody reads it. */
  graceMs: number;
  /** Of all answers together; those that have ended make room for those that run, the oldest first. */
  mostBytes: number;
}

/** A completion to be run once. */
export interface Once {
  run: Run;
  /** To be called before anything is picked or sent. Throws what the completion then fails with. */
  claim: () => Promise<void>;
}

type Events = AsyncGenerator<CompletionEvent, void, undefined>;

/** Completions that their callers gave a name: each runs once, and is told to everybody who asks for it by that name. */
export class Replays {
  readonly #parts: ReplayParts;
  readonly #records = new Map<string, CompletionRecord>();
  /** Those that have ended, the oldest first. */
  readonly #ended = new Map<CompletionRecord, NodeJS.Timeout>();
  #bytes = 0;

  constructor(parts: ReplayParts) {
    this.#parts = parts;
  }

  /** What all that is kept takes in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Whether the request's completion is here, so that asking for it does not make one more.
   * @throws AuthenticationError for callers who are nobody
   */
  has({ caller, key = '' }: CompletionRequest): boolean {
    return this.#records.has(idOf(keyNameOf(caller, key)));
  }

  /**
   * Attaches to the completion that the request names, or begins it.
   * @param run an admitted request with a key
   * @throws ConflictError when the name stands for something else, or for what is not here; AuthenticationError,
   * ValidationError, OverloadedError
   */
  async open(run: Run, begin: (once: Once) => Events): Promise<Events> {
    const { request, admitted } = run;
    const name = keyNameOf(request.caller, request.key ?? '');
    const fingerprint = fingerprintOf(request, admitted.asked);
    const known = this.#records.get(idOf(name));
    if (known && known.fingerprint !== fingerprint) throw differentInput(known.requestId);
    if (request.resumeFrom) {
      if (!known) throw await this.#parts.claims.whyNotHere({ ...name, fingerprint });
      if (known.isStreamed && request.resumeFrom > known.nextSeq) {
        throw invalid('resumeFrom', `must be at most ${known.nextSeq}: the answer has not come further yet`);
      }
    }
    const { isStreamed, wantsUsage } = admitted;
    const { acceptsRestart = false, signal } = request;
    const record = known ?? this.#begin(run, name, fingerprint, begin);
    return tell(record, { isStreamed, wantsUsage, acceptsRestart, ...(signal ? { signal } : {}) });
  }

  /** Forgets everything; those who are reading still get what is there. */
  close(): void {
    for (const record of [...this.#ended.keys()]) this.#forget(record);
  }

  #begin(run: Run, name: KeyName, fingerprint: string, begin: (once: Once) => Events): CompletionRecord {
    const { requestId, admitted } = run;
    const stop = (reason: SignalboxError) => cancel(run, reason);
    const { graceMs } = this.#parts;
    const { isStreamed } = admitted;
    const record = new CompletionRecord({ name, fingerprint, requestId, isStreamed, graceMs, stop });
    this.#records.set(idOf(name), record);
    this.#count(record.bytes);
    const claim: Claim = { ...name, fingerprint, completionId: requestId };
    void this.#run(record, run, claim, begin);
    return record;
  }

  /** Takes the events as they come, however fast they are read. */
  async #run(record: CompletionRecord, run: Run, claim: Claim, begin: (once: Once) => Events): Promise<void> {
    const { claims, log } = this.#parts;
    let isClaimed = false;
    const take = async () => {
      await claims.take(claim);
      isClaimed = true;
    };
    try {
      for await (const event of begin({ run, claim: take })) {
        if (event.type === 'admitted') continue;
        if (event.type === 'failed' && !hasAttempts(run)) {
          if (isClaimed) await claims.release(claim);
          this.#records.delete(idOf(claim));
        }
        const before = record.bytes;
        record.append(event);
        this.#count(record.bytes - before);
      }
    } catch (error) {
      log.error({ err: error, requestId: run.requestId }, 'a completion under a request id broke off');
    } finally {
      record.end();
      this.#keep(record);
    }
  }

  #keep(record: CompletionRecord): void {
    const timer = setTimeout(() => this.#forget(record), KEPT_MS);
    this.#ended.set(record, timer.unref());
    if (this.#records.get(idOf(record.name)) !== record) this.#forget(record);
    this.#count(0);
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    for (const record of this.#ended.keys()) {
      if (this.#bytes <= this.#parts.mostBytes) return;
      if (!record.isRead) this.#forget(record);
    }
  }

  #forget(record: CompletionRecord): void {
    const id = idOf(record.name);
    if (this.#records.get(id) === record) this.#records.delete(id);
    clearTimeout(this.#ended.get(record));
    if (this.#ended.delete(record)) this.#bytes -= record.bytes;
  }
}

function idOf({ caller, key }: KeyName): string {
  return `${caller} ${key}`;
}

/** Something was sent for it, or is about to be. */
function hasAttempts(run: Run): boolean {
  return run.open !== null || run.reports.length > 0;
}
