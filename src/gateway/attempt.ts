import type { SignalboxError } from '../platform/errors.ts';
import { uuidv7 } from '../platform/ids.ts';
import { picodollars } from '../platform/money.ts';
import type { Admitted } from './admission/admit.ts';
import { outputBound, promptOf } from './asked.ts';
import type { AttemptReport } from './completion.ts';
import { COUNTED_CHARACTERS, countTokens, estimateInput, maxLiability } from './ledger/estimate.ts';
import { costOf, type PriceVersion, UNKNOWN_USAGE, type Usage } from './ledger/prices.ts';
import type { AttemptOutcome, CompletionOrigin, Intent, RequestStatus } from './ledger/records.ts';
import type { Step } from './routing/plan.ts';
import type { ProviderEntry, ProviderKey } from './snapshot/snapshot.ts';
import type { Chunk } from './upstream/chunk.ts';
import type { AttemptPlace } from './upstream/failure.ts';

/** One upstream call of a completion: what was intended, what came back so far, and what that cost. */
export class Attempt {
  readonly intent: Intent;
  readonly provider: ProviderEntry;
  readonly key: ProviderKey | null;
  readonly place: AttemptPlace;
  upstreamStatus: number | null = null;
  answeredModel: string | null = null;
  finishReason: string | null = null;
  usage: Usage | null = null;
  /** Milliseconds from the completion's start to the first meaningful event, for streams. */
  timeToFirstTokenMs: number | null = null;
  readonly #admitted: Admitted;
  readonly #price: PriceVersion | null;
  /** The beginning of what was relayed, and how long all of it is: enough to estimate its tokens. */
  #relayed = '';
  #relayedLength = 0;

  constructor(admitted: Admitted, origin: CompletionOrigin, { target, key, number }: Step) {
    const { bytes } = admitted.asked;
    const { provider, model } = target;
    const bound = outputBound(admitted.asked, model.maxOutputTokens);
    this.#admitted = admitted;
    this.provider = provider;
    this.key = key;
    this.#price = model.price;
    this.place = { provider: provider.slug, attempt: number, secret: key?.secret ?? null };
    this.intent = {
      origin,
      attemptId: uuidv7(),
      number,
      startedAt: Date.now(),
      providerId: provider.id,
      providerSlug: provider.slug,
      providerKeyId: key?.id ?? null,
      usedOwnKey: key !== null && admitted.ownKeys.get(provider.id) === key,
      model: model.name,
      priceVersionId: model.price?.id ?? null,
      estimate: estimateInput(bytes.length, model.price),
      maxLiability: maxLiability(bytes.length, bound, model.price),
    };
  }

  /** Takes in what an event of the stream, or the whole answer, says. */
  note(chunk: Chunk): void {
    this.finishReason ??= chunk.finishReasons[0]?.reason ?? null;
    if (chunk.usage) this.usage = chunk.usage;
    this.answeredModel ??= chunk.model;
    this.#relay(chunk.text);
    this.#relay(chunk.reasoning);
    this.#relay(chunk.refusal);
    for (const call of chunk.toolCalls) this.#relay(call.arguments);
  }

  /** Counts text that goes to the client. */
  #relay(text: string): void {
    if (this.#relayed.length < COUNTED_CHARACTERS) this.#relayed += text;
    this.#relayedLength += text.length;
  }

  /**
   * What goes on the ledger. Usage is the provider's where it sent any. Otherwise it is counted from the prompt and from
   * what was relayed, and marked as estimated; a call that failed before its first token is taken to be free.
   */
  outcome(status: RequestStatus, error: SignalboxError | null, now = Date.now()): AttemptOutcome {
    const isFree = this.usage === null && status === 'FAILED' && this.#relayedLength === 0;
    const usage = this.usage ?? (isFree ? UNKNOWN_USAGE : this.#countedUsage());
    return {
      status,
      finishedAt: now,
      upstreamStatus: this.upstreamStatus,
      answeredModel: this.answeredModel,
      finishReason: this.finishReason,
      errorCode: error?.code ?? null,
      errorMessage: error?.message ?? null,
      usage,
      isEstimated: this.usage === null && !isFree,
      cost: isFree ? picodollars(0n) : costOf(usage, this.#price),
      latencyMs: now - this.intent.startedAt,
      timeToFirstTokenMs: this.timeToFirstTokenMs,
    };
  }

  report(outcome: AttemptOutcome): AttemptReport {
    return {
      id: this.intent.attemptId,
      number: this.intent.number,
      provider: this.intent.providerSlug,
      model: this.intent.model,
      usedOwnKey: this.intent.usedOwnKey,
      startedAt: this.intent.startedAt,
      status: outcome.status,
      finishedAt: outcome.finishedAt,
      upstreamStatus: outcome.upstreamStatus,
      answeredModel: outcome.answeredModel,
      finishReason: outcome.finishReason,
      errorCode: outcome.errorCode,
      errorMessage: outcome.errorMessage,
      usage: outcome.usage,
      isEstimated: outcome.isEstimated,
      cost: outcome.cost,
      latencyMs: outcome.latencyMs,
      timeToFirstTokenMs: outcome.timeToFirstTokenMs,
    };
  }

  #countedUsage(): Usage {
    const { text, tokens } = promptOf(this.#admitted.asked);
    return {
      ...UNKNOWN_USAGE,
      inputTokens: countTokens(text) + tokens,
      outputTokens: countTokens(this.#relayed, this.#relayedLength),
    };
  }
}
