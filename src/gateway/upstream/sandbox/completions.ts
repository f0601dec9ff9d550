import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import type { Activity } from './activity.ts';
import { planAnswer } from './answer.ts';
import { readBody } from './body.ts';
import type { Client } from './client.ts';
import { errorJson, errorOf, errorOfStatus, invalidRequest, serverError } from './errors.ts';
import { isPlain, type ReadyAnswer, type Recall, recallKey } from './recall.ts';
import { parseRequest, type SandboxRequest } from './request.ts';
import { SSE_HEADERS, streamAnswer } from './stream.ts';
import { sendAnswer } from './whole.ts';

/** What all requests to one sandbox share. */
export interface Memory {
  activity: Activity;
  recall: Recall;
}

/** Answers one `POST /v1/chat/completions`. Never rejects: what goes wrong becomes the answer. */
export async function answerCompletion(request: IncomingMessage, client: Client, memory: Memory): Promise<void> {
  const record = memory.activity.begin(client);
  try {
    const bytes = await readBody(request);
    if (bytes === null) return;
    const header = request.headers['x-sandbox']?.toString();
    const key = recallKey(bytes, header);
    const known = memory.recall.find(key);
    if (known) {
      record.id = known.id;
      record.model = known.model;
      return sendAgain(known, client);
    }
    const asked = parseRequest(bytes, header);
    const answer = planAnswer(asked);
    const { id, model } = answer;
    record.id = id;
    record.model = model;
    if (!(await client.sleep(asked.controls.latencyMs ?? 0))) return;
    if (failsAtOnce(asked, answer.promptTokens, client)) return;
    const isStream = asked.body.stream === true;
    const body = await (isStream ? streamAnswer : sendAnswer)(answer, asked, client);
    if (body && isPlain(asked)) memory.recall.keep(key, { id, model, isStream, body });
  } catch (thrown) {
    const { status, error } = errorOf(thrown);
    client.answer(status, errorJson(error), {}, 'refused');
  }
}

function sendAgain({ body, isStream }: ReadyAnswer, client: Client): void {
  if (isStream) {
    client.begin(SSE_HEADERS, false);
    client.end(body);
  } else {
    client.answer(200, body);
  }
}

/** Plays the faults that leave no answer. */
function failsAtOnce({ fault, controls }: SandboxRequest, promptTokens: number, client: Client): boolean {
  switch (fault) {
    case 'status': {
      const { status = 500, retryAfter } = controls;
      const headers: OutgoingHttpHeaders = {};
      if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter);
      client.answer(status, errorJson(errorOfStatus(status)), headers, 'faulted');
      return true;
    }
    case 'context-length': {
      const message =
        `This model's maximum context length is ${promptTokens - 1} tokens. However, your messages resulted in ` +
        `${promptTokens} tokens. Please reduce the length of the messages.`;
      const error = invalidRequest(message, 'messages', 'context_length_exceeded');
      client.answer(400, errorJson(error), {}, 'faulted');
      return true;
    }
    case 'error-body':
      client.answer(200, errorJson(serverError('The sandbox failed, as asked.')), {}, 'faulted');
      return true;
    case 'reset':
      client.reset();
      return true;
    case 'silent':
      return true;
    default:
      return false;
  }
}
