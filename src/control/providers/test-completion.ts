import type { CompletionReport, CompletionRequest } from '../../gateway/completion.ts';
import type { ProviderEntry } from '../../gateway/snapshot/snapshot.ts';
import { type SignalboxError, shorten } from '../../platform/errors.ts';
import type { Services } from '../schema/context.ts';
import { statusOfTest, verdictOf } from './health-status.ts';
import type { Observation } from './health-store.ts';
import { withoutKeys } from './without-keys.ts';

const DEFAULT_MESSAGE = 'Reply with the word OK.';
const MOST_OUTPUT_TOKENS = 64;
const LONGEST_TEXT = 1_000;
const LONGEST_DETAIL = 500;

/** What is asked of which model. */
export interface TestRequest {
  model: string;
  /** Null: a sentence that asks for a word. */
  message: string | null;
  /** The one of the provider's keys that is tested; absent: any. */
  keyId?: string;
}

export interface TestOutcome extends Observation {
  model: string;
  requestId: string;
  /** The beginning of the answer; null: there was none. */
  responseText: string | null;
}

/** The name of the model that a provider is tested with when none is named; null: it has none that is enabled. */
export function defaultModel(provider: ProviderEntry): string | null {
  return provider.models.find(({ isEnabled }) => isEnabled)?.name ?? null;
}

/**
 * Tries a provider by one short completion through the gateway, so that it is on the ledger like every other.
 * @returns what came of it, also where the provider failed.
 * @throws SignalboxError when it is not the provider that failed: the gateway is full or stopping, the client has left.
 */
export async function testCompletion(
  { gateway, settings }: Pick<Services, 'gateway' | 'settings'>,
  asking: Pick<CompletionRequest, 'caller' | 'signal'> & { requestId: string },
  provider: ProviderEntry,
  request: TestRequest,
): Promise<TestOutcome> {
  const completion = gateway.complete({
    ...asking,
    door: 'GRAPHQL',
    operation: 'CHAT',
    sandbox: null,
    body: toBody(provider, request),
    tags: { purpose: 'provider-test' },
    target: {
      ...{ providerId: provider.id, model: request.model, timeoutMs: settings.providerTestTimeoutMs },
      ...(request.keyId === undefined ? {} : { keyId: request.keyId }),
    },
  });
  let text: string | null = null;
  for await (const event of completion) {
    if (event.type === 'body') text = event.chunk.text;
    if (event.type === 'finished') return toOutcome(provider, request, text, event.report, null);
    if (event.type === 'failed') {
      if (!event.report) throw event.error;
      return toOutcome(provider, request, null, event.report, event.error);
    }
  }
  throw new Error('A test ended without an answer and without a failure.');
}

/** As little as can be: every further parameter is one that some model refuses. */
function toBody(provider: ProviderEntry, { model, message }: TestRequest): Buffer {
  // OpenAI's reasoning models refuse `max_tokens`; many compatible servers do not know its successor.
  const limit = provider.kind === 'OPENAI' ? 'max_completion_tokens' : 'max_tokens';
  const messages = [{ role: 'user', content: message ?? DEFAULT_MESSAGE }];
  return Buffer.from(JSON.stringify({ model, messages, [limit]: MOST_OUTPUT_TOKENS }));
}

function toOutcome(
  provider: ProviderEntry,
  { model }: TestRequest,
  text: string | null,
  report: CompletionReport,
  error: SignalboxError | null,
): TestOutcome {
  const attempt = report.attempts.at(-1);
  const verdict = attempt ? verdictOf(attempt) : null;
  if (!attempt || !verdict) throw error ?? new Error('A test was answered without an attempt.');
  return {
    status: statusOfTest(verdict),
    at: new Date(report.finishedAt),
    latencyMs: attempt.latencyMs,
    upstreamStatus: attempt.upstreamStatus,
    detail: error && shorten(withoutKeys(error.message, provider), LONGEST_DETAIL),
    responseText: text === null ? null : shorten(withoutKeys(text, provider), LONGEST_TEXT),
    model,
    requestId: report.requestId,
  };
}
