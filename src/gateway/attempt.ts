import type { SignalboxError } from '../platform/errors.ts';
import { uuidv7 } from '../platform/ids.ts';
import { type Picodollars, picodollars } from '../platform/money.ts';
import type { Admitted } from './admission/admit.ts';
import type { Held } from './allowances/held.ts';
import { costOfWorst } from './allowances/worst-case.ts';
import { promptOf } from './asked.ts';
import type { AttemptReport } from './completion.ts';
import { COUNTED_CHARACTERS, countTokens, estimateInput } from './ledger/estimate.ts';
import { type PriceVersion, UNKNOWN_USAGE, type Usage } from './ledger/prices.ts';
import type { AttemptOutcome, CompletionOrigin, Intent, RequestStatus } from './ledger/records.ts';
import { type Priced, priceCall } from './prices/cost.ts';
import type { Target } from './routing/candidates.ts';
import type { Step } from './routing/plan.ts';
import type { Reserved } from './set-aside.ts';
import type { ProviderEntry, ProviderKey } from './snapshot/snapshot.ts';
import type { Chunk } from './upstream/chunk.ts';
import type { AttemptPlace } from './upstream/failure.ts';

/** One upstream call of a completion: what was intended, what came back so far, and what that cost. */
export class Attempt {
  readonly intent: Intent;
  readonly target: Target;
  readonly provider: ProviderEntry;
  readonly key: ProviderKey | null;
  readonly place: AttemptPlace;
  /** What is set aside for it. */
  readonly held: Held | null;
  /** The call was made. */
  isSent = false;
  upstreamStatus: number | null = null;
  answeredModel: string | null = null;
  finishReason: string | null = null;
  usage: Usage | null = null;
  /** What the provider says that the call costs. */
  reportedCost: Picodollars | null = null;
  /** What `intent` names, and once there is an outcome what that names. */
  price: PriceVersion | null;
  /** When the first meaningful event of a stream came, in milliseconds since 1970. */
  firstTokenAt: number | null = null;
  #usageSoFar: Usage | null = null;
  readonly #admitted: Admitted;
  /** The beginning of what was relayed, and how long all of it is: enough to estimate its tokens. */
  #relayed = '';
  #relayedLength = 0;

  constructor(
    admitted: Admitted,
    origin: CompletionOrigin,
    { target, key, number }: Step,
    { startedAt, price, worst, held }: Omit<Reserved, 'call' | 'warnings'>,
  ) {
    const { bytes } = admitted.asked;
    const { provider, model } = target;
    this.#admitted = admitted;
    this.held = held;
    this.provider = provider;
    this.key = key;
    this.target = target;
    this.price = price;
    this.intent = {
      origin,
      attemptId: uuidv7(),
      number,
      startedAt,
      providerId: provider.id,
      providerSlug: provider.slug,
      providerKeyId: key?.id ?? null,
      targetId: target.id,
      usedOwnKey: key !== null && admitted.ownKeys.get(provider.id) === key,
      model: model.name,
      priceVersionId: this.price?.id ?? null,
      estimate: estimateInput(bytes.length, this.price),
      maxLiability: held?.hold.amount ?? (worst && costOfWorst(worst)),
      hold: held?.hold ?? null,
    };
    const { inputTokens } = this.intent.estimate;
    this.place = { provider: provider.slug, attempt: number, secret: key?.secret ?? null, inputTokens };
  }

  /** Takes in what an event of the stream, or the whole answer, says. */
  note(chunk: Chunk): void {
    this.finishReason ??= chunk.finishReasons[0]?.reason ?? null;
    if (chunk.usage) this.usage = chunk.usage;
    if (chunk.usageSoFar) this.#usageSoFar = chunk.usageSoFar;
    this.reportedCost = chunk.cost ?? this.reportedCost;
    // A provider may hand over to another model, and says so when it does.
    this.answeredModel = chunk.model ?? this.answeredModel;
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
   * what was relayed, and marked as estimated; a call that failed before its first token is taken to be free, and one that
   * was never made is.
   */
  outcome(status: RequestStatus, error: SignalboxError | null, now = Date.now()): AttemptOutcome {
    const isFailed = status === 'FAILED' && this.usage === null && this.#relayedLength === 0;
    const isFree = isFailed || !this.isSent;
    const usage = this.usage ?? (isFree ? UNKNOWN_USAGE : this.#countedUsage());
    const { cost, costSource, price } = isFree ? this.#free() : this.#priced(usage);
    this.price = price;
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
      cost,
      costSource,
      priceVersionId: price?.id ?? null,
      latencyMs: now - this.intent.startedAt,
      timeToFirstTokenMs: this.firstTokenAt === null ? null : this.firstTokenAt - this.intent.startedAt,
    };
  }

  report(outcome: AttemptOutcome): AttemptReport {
    return {
      id: this.intent.attemptId,
      number: this.intent.number,
      provider: this.intent.providerSlug,
      model: this.intent.model,
      targetId: this.intent.targetId,
      usedOwnKey: this.intent.usedOwnKey,
      startedAt: this.intent.startedAt,
      held: this.intent.hold?.amount ?? null,
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
      costSource: outcome.costSource,
      priceVersionId: outcome.priceVersionId,
      latencyMs: outcome.latencyMs,
      timeToFirstTokenMs: outcome.timeToFirstTokenMs,
    };
  }

  #free(): Priced {
    return { cost: picodollars(0n), costSource: 'FREE', price: this.price };
  }

  #priced(usage: Usage): Priced {
    const { answeredModel: model, reportedCost } = this;
    return priceCall(this.target, this.intent.startedAt, { model, usage, reportedCost });
  }

  #countedUsage(): Usage {
    const outputTokens = countTokens(this.#relayed, this.#relayedLength);
    const told = this.#usageSoFar;
    // The prompt's is told at the beginning, and exact; of the answer more came since.
    if (told) return { ...told, outputTokens: Math.max(told.outputTokens ?? 0, outputTokens) };
    const { text, tokens } = promptOf(this.#admitted.asked);
    return { ...UNKNOWN_USAGE, inputTokens: countTokens(text) + tokens, outputTokens };
  }
}
