import { BudgetExceededError, invalid, SignalboxError, ValidationError } from '../platform/errors.ts';
import type { Asked } from './admission/admit.ts';
import type { Held, HoldRequest, Limited } from './allowances/held.ts';
import type { Leases } from './allowances/leases.ts';
import { asSeenBy } from './allowances/refusals.ts';
import { costOfWorst, type WorstCase, worstCase } from './allowances/worst-case.ts';
import { choicesOf, inputBound, outputBound, predictedBound, withOutputLimit } from './asked.ts';
import type { Call } from './dispatch.ts';
import { COUNTED_CHARACTERS, countTokens } from './ledger/estimate.ts';
import type { PriceVersion } from './ledger/prices.ts';
import { expectedPrice } from './prices/cost.ts';
import type { Step } from './routing/plan.ts';
import type { Run } from './run.ts';

/** What a target's own way to say a request can make of it. */
export type Prepare = (asked: Asked) => Promise<Call | ValidationError>;

/** Picodollars: as much as a column of the ledger holds. */
const MOST_HELD = 9_000_000n * 10n ** 12n;
/** An answer that nothing else limits can have so many tokens: few models can do less. */
const UNLIMITED_TOKENS = 4_096;

/** A request in the target's words, for which there is the money. */
export interface Reserved {
  call: Call;
  /** Milliseconds since 1970. */
  startedAt: number;
  price: PriceVersion | null;
  /** The most that it can cost; null: its price, or how long the answer can be, is unknown. */
  worst: WorstCase | null;
  /** Null: nothing limits it. */
  held: Held | null;
  /** What of the request is less than was asked for. */
  warnings: readonly string[];
}

/**
 * Says the request in the target's words, and sets aside the most that it can cost. Where there is less money, it is said
 * with fewer tokens for the answer.
 * @returns the error when the target cannot be asked this
 * @throws what `Leases.hold` throws, but for the budget of a provider
 */
export async function setAside(
  run: Run,
  step: Step,
  leases: Leases,
  prepare: Prepare,
): Promise<Reserved | SignalboxError> {
  const limits = leases.limitsOf(limitedBy(run, step));
  const isLimited = limits.length > 0;
  const asked = isLimited ? withSomeLimit(run.admitted.asked, step) : run.admitted.asked;
  const call = await prepare(asked);
  if (call instanceof ValidationError) return call;
  const startedAt = Date.now();
  const price = expectedPrice(step.target, startedAt);
  const worst = price && worstOf(asked, step, price, call);
  if (!isLimited) return { call, startedAt, price, worst, held: null, warnings: NO_WARNINGS };
  if (!worst || !price) {
    const { model, provider } = step.target;
    const message = `The price of ${model.name} at ${provider.slug} is unknown, so that nothing can be set aside for it, and a hard budget or credits limit this request. Set a price for the model, or name another one.`;
    return invalid('model', message);
  }
  if (costOfWorst(worst) > MOST_HELD)
    return invalid('', 'The request may cost more than $9 million, the most that can be set aside for one.');
  const lookCloser = () => closerLook(asked, step, worst, price);
  const held = await holdOrRefuse(run, leases, { limits, worst, lookCloser });
  if (held instanceof SignalboxError) return held;
  const warnings = asked === run.admitted.asked ? NO_WARNINGS : [GIVEN_LIMIT];
  const reserved = { call, startedAt, price, worst, held, warnings };
  if (held.outputTokens === null || !('chat' in asked)) return reserved;
  const { outputTokens } = held;
  try {
    const shorter = await prepare(withOutputLimit(asked, outputTokens, step.target.provider.kind));
    if (shorter instanceof ValidationError) {
      held.settle(null);
      return shorter;
    }
    const fewestTokens = shorter.raisedLimit ?? 0;
    if (fewestTokens <= outputTokens) return { ...reserved, call: shorter, warnings: [limitedTo(outputTokens)] };
    // This target cannot say it with so few: it gets what it needs, or nothing is sent.
    held.settle(null);
    const needed = { ...worst, outputTokens: fewestTokens, fewestTokens };
    const all = await holdOrRefuse(run, leases, { limits, worst: needed });
    if (all instanceof SignalboxError) return all;
    return { ...reserved, call: shorter, held: all, warnings: [limitedTo(fewestTokens)] };
  } catch (error) {
    held.settle(null);
    throw error;
  }
}

/** The budget of one provider says nothing about the others: they may be asked. */
async function holdOrRefuse(
  { request: { caller } }: Run,
  leases: Leases,
  request: HoldRequest,
): Promise<Held | SignalboxError> {
  try {
    return await leases.hold(request);
  } catch (error) {
    if (!(error instanceof BudgetExceededError)) throw error;
    const refusal = asSeenBy(caller, error);
    if (error.scope === 'PROVIDER') return refusal;
    throw refusal;
  }
}

const NO_WARNINGS: readonly string[] = [];

function limitedTo(tokens: number): string {
  return `The answer was limited to ${tokens} tokens: a budget, or your credits, had not enough left for more.`;
}

const GIVEN_LIMIT = `The answer was limited to ${UNLIMITED_TOKENS} tokens: under a hard budget or credits it needs a limit, and neither the request nor the catalog has one.`;

/** Where neither the request nor the catalog limits the answer, this does. */
function withSomeLimit(asked: Asked, { target: { model, provider } }: Step): Asked {
  if (!('chat' in asked) || outputBound(asked, model.maxOutputTokens) !== null) return asked;
  return withOutputLimit(asked, UNLIMITED_TOKENS, provider.kind);
}

function worstOf(asked: Asked, { target: { model } }: Step, price: PriceVersion, call: Call): WorstCase | null {
  const inputTokens = inputBound(asked, model.contextTokens);
  const outputTokens = call.raisedLimit ?? outputBound(asked, model.maxOutputTokens);
  if (outputTokens === null) return null;
  return worstCase(inputTokens, outputTokens, choicesOf(asked), predictedBound(asked), price);
}

/**
 * Counts the tokens of a short request, as JSON and with what providers put around it: a fraction of its bytes. Doubled,
 * as other vocabularies than the one it is counted by need more. Of digits and of what is not ASCII each byte counts, as
 * many vocabularies have no longer tokens for them.
 */
function closerLook(asked: Asked, { target: { model } }: Step, worst: WorstCase, price: PriceVersion): WorstCase {
  const { bytes } = asked;
  if (bytes.length > COUNTED_CHARACTERS) return worst;
  const counted = 2 * countTokens(bytes.toString('utf8'));
  const beyondBytes = inputBound(asked, model.contextTokens) - bytes.length;
  const inputTokens =
    Math.min(bytes.length, Math.max(counted, Math.ceil(bytes.length / 4)) + denseBytes(bytes)) + beyondBytes;
  const closer = worstCase(inputTokens, worst.outputTokens, choicesOf(asked), predictedBound(asked), price);
  return { ...closer, fewestTokens: worst.fewestTokens };
}

function denseBytes(bytes: Buffer): number {
  let count = 0;
  for (const byte of bytes) if (byte >= 0x80 || (byte >= 0x30 && byte <= 0x39)) count += 1;
  return count;
}

/** Calls with the caller's own key cost no credits. */
function limitedBy({ request: { caller }, origin, admitted }: Run, { target, key }: Step): Limited {
  const { userId, apiKeyId, routeId, startedAt } = origin;
  const usesOwnKey = key !== null && admitted.ownKeys.get(target.provider.id) === key;
  const creditsId = caller.kind === 'ANONYMOUS' || usesOwnKey ? null : (caller.account.creditsId ?? null);
  return { spender: { userId, apiKeyId, routeId, providerId: target.provider.id }, creditsId, at: startedAt };
}
