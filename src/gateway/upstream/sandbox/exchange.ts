import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Activity, RequestRecord } from './activity.ts';
import { readBody } from './body.ts';
import type { Client } from './client.ts';
import { failureOf } from './failure.ts';
import { checkKey } from './keys.ts';
import type { Recall } from './recall.ts';
import type { GetRoute, PostRoute } from './routes.ts';
import type { Scenarios } from './scenarios.ts';

/** What all requests to one sandbox share. */
export interface Memory {
  activity: Activity;
  recall: Recall;
  scenarios: Scenarios;
}

/** One request that is being answered, without its body. */
export interface Exchange {
  headers: IncomingHttpHeaders;
  client: Client;
  record: RequestRecord;
  recall: Recall;
  scenarios: Scenarios;
}

/** Answers one POST. Never rejects: what goes wrong becomes the answer. */
export async function answerPost(
  { dialect, answer }: PostRoute,
  request: IncomingMessage,
  client: Client,
  { activity, recall, scenarios }: Memory,
): Promise<void> {
  const { hint, failure } = checkKey(request);
  const record = activity.begin(client, dialect.name, hint);
  try {
    const bytes = await readBody(request);
    if (bytes === null) return;
    if (failure) client.refuse(dialect.writeError(failure), 'faulted');
    else await answer(bytes, { headers: request.headers, client, record, recall, scenarios });
  } catch (thrown) {
    client.refuse(dialect.writeError(failureOf(thrown)));
  }
}

/** Answers one GET, which leaves no record. */
export function answerGet(
  { dialect, checksKey, read }: GetRoute,
  request: IncomingMessage,
  query: URLSearchParams,
  client: Client,
  activity: Activity,
): void {
  const failure = checksKey ? checkKey(request).failure : null;
  try {
    if (failure) client.refuse(dialect.writeError(failure));
    else client.answer(200, JSON.stringify(read(query, activity)));
  } catch (thrown) {
    client.refuse(dialect.writeError(failureOf(thrown)));
  }
}
