import { planAnswer } from './answer.ts';
import { failsAtOnce } from './at-once.ts';
import type { Client } from './client.ts';
import type { ChatCall } from './dialect.ts';
import type { Exchange } from './exchange.ts';
import { isPlain, type ReadyAnswer, recallKey } from './recall.ts';
import { parseRequest } from './request.ts';
import { SSE_HEADERS, streamAnswer } from './stream.ts';
import { sendAnswer } from './whole.ts';

/**
 * Answers one chat request, in whatever dialect it comes.
 * @throws SignalboxError for a request that is wrong, as long as nothing was sent.
 */
export async function answerChat(
  bytes: Buffer,
  call: ChatCall,
  { client, record, recall, scenarios }: Exchange,
): Promise<void> {
  const key = recallKey(bytes, call);
  const known = recall.find(key);
  if (known) {
    record.id = known.id;
    record.model = known.model;
    return sendAgain(known, client);
  }
  const request = parseRequest(bytes, call, scenarios);
  const answer = planAnswer(request);
  const { id, model } = answer;
  record.id = id;
  record.model = model;
  if (!(await client.sleep(request.controls.latencyMs ?? 0))) return;
  const isPrefilled = request.ask.turns.at(-1)?.role === 'assistant';
  if (failsAtOnce(request, { tokens: answer.promptTokens, isPrefilled }, client)) return;
  const { isStream } = request;
  const body = await (isStream ? streamAnswer : sendAnswer)(answer, request, client);
  if (body && isPlain(request)) recall.keep(key, { id, model, isStream, body });
}

function sendAgain({ body, isStream }: ReadyAnswer, client: Client): void {
  if (isStream) {
    client.begin(SSE_HEADERS, false);
    client.end(body);
  } else {
    client.answer(200, body);
  }
}
