import type { TestServer } from '../../../kit/server.ts';
import type { Seen } from './callers.ts';

interface Event {
  __typename: string;
  requestId?: string;
  provider?: string;
  model?: string;
  route?: string | null;
  attemptCount?: number;
  text?: string;
  completion?: {
    text: string | null;
    finishReason: string | null;
    usage: NonNullable<Seen['usage']>;
    provider: string;
    model: string;
    route: string | null;
    attempts: unknown[];
  };
  error?: { code: string; message: string; retryAfterSeconds?: number };
  attempts?: unknown[];
}

const SUBSCRIPTION = `subscription ($input: CompletionInput!) { completion(input: $input) { __typename
  ... on CompletionStarted { requestId provider model route attemptCount }
  ... on CompletionDelta { text }
  ... on CompletionRestarted { provider model attemptCount reason }
  ... on CompletionFinished { completion {
    text finishReason usage { inputTokens outputTokens } provider model route attempts { number } } }
  ... on CompletionFailed {
    requestId
    error { code message ... on RateLimitedError { retryAfterSeconds } ... on OverloadedError { retryAfterSeconds } }
    attempts { number } } } }`;

/** A completion over the GraphQL subscription. */
export async function subscribe(
  server: TestServer,
  model: string,
  messages: readonly { role: string; content: string }[],
  sandbox?: object,
): Promise<Seen> {
  const startedAt = performance.now();
  const seen: Seen = {
    requestId: '',
    status: null,
    text: '',
    finishReason: null,
    isWhole: false,
    error: null,
    usage: null,
    provider: null,
    model: null,
    route: null,
    attempts: null,
    restarts: [],
    retryAfter: null,
    firstMs: 0,
    ms: 0,
  };
  const input = {
    model,
    messages: messages.map(({ role, content }) => ({ role: role.toUpperCase(), content })),
    ...(sandbox && { extra: { sandbox } }),
  };
  const client = server.ws();
  const events = client.iterate<{ completion: Event }>({ query: SUBSCRIPTION, variables: { input } });
  for await (const { data, errors } of events) {
    if (errors || !data) throw new Error(JSON.stringify(errors));
    if (seen.firstMs === 0) seen.firstMs = performance.now() - startedAt;
    takeIn(data.completion, seen);
  }
  await client.dispose();
  seen.ms = performance.now() - startedAt;
  return seen;
}

function takeIn(event: Event, seen: Seen): void {
  switch (event.__typename) {
    case 'CompletionStarted':
      seen.requestId = event.requestId ?? '';
      takeHead(event, seen);
      seen.route = event.route ?? null;
      return;
    case 'CompletionDelta':
      seen.text += event.text ?? '';
      return;
    case 'CompletionRestarted':
      seen.restarts.push({ attempt: event.attemptCount ?? 0, discarded: seen.text });
      seen.text = '';
      takeHead(event, seen);
      return;
    case 'CompletionFinished': {
      const { completion } = event;
      if (!completion) return;
      // What the deltas add up to is what the end says.
      seen.isWhole = (completion.text ?? '') === seen.text;
      seen.finishReason = completion.finishReason;
      seen.usage = completion.usage;
      seen.provider = completion.provider;
      seen.model = completion.model;
      seen.attempts = completion.attempts.length;
      return;
    }
    case 'CompletionFailed': {
      const { error } = event;
      seen.requestId = event.requestId ?? '';
      seen.error = error ? { code: error.code, message: error.message } : null;
      seen.retryAfter = error?.retryAfterSeconds ?? null;
      seen.attempts = event.attempts?.length ?? 0;
      return;
    }
  }
}

function takeHead(event: Event, seen: Seen): void {
  seen.provider = event.provider ?? null;
  seen.model = event.model ?? null;
  seen.attempts = event.attemptCount ?? null;
}
