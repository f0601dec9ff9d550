import { isRecord } from '../body.ts';
import { chunkOf } from '../chunk.ts';
import { MalformedAnswer, type Piece } from '../dialect.ts';
import { type AnswerIdentity, usageOf } from '../openai/write.ts';
import { type Call, Candidates, type Said, signed } from './candidates.ts';
import { toFinishReason } from './finish-reason.ts';
import { failureOf, toolCall } from './stream.ts';

/**
 * Reads a whole answer of generateContent as a chat completion. An answer that is a list of responses (a stream that was
 * not asked for as events) is read as one.
 * @param identity what the answer is called where it has no name of its own
 * @throws MalformedAnswer
 */
export function readResponse(text: string, identity: AnswerIdentity): Piece {
  const candidates = new Candidates(identity);
  const said: Said[] = [];
  for (const response of parse(text)) {
    if (response.error != null)
      return { data: JSON.stringify({ error: response.error }), chunk: chunkOf({ error: response.error }) };
    said.push(...candidates.read(response));
    const failure = failureOf(candidates, response);
    if (failure) return failure;
  }
  said.push(...candidates.end());
  if (candidates.reasons.size === 0) throw new MalformedAnswer('sent an answer without candidates');
  if (!candidates.isFinished) throw new MalformedAnswer('sent an answer without a reason why it ended');
  return toCompletion(candidates, said);
}

function toCompletion(candidates: Candidates, said: readonly Said[]): Piece {
  const { identity, reasons, usage } = candidates;
  const finishReasons = [...reasons].map(([choice, native]) => ({
    choice,
    native,
    reason: toFinishReason(native ?? '', candidates.callsTools(choice)),
  }));
  const data = JSON.stringify({
    id: identity.id,
    object: 'chat.completion',
    created: identity.created,
    model: identity.model,
    choices: finishReasons.map(({ choice, native, reason }) => ({
      index: choice,
      message: toMessage(said.filter((one) => one.choice === choice)),
      finish_reason: reason,
      native_finish_reason: native,
    })),
    ...(usage ? { usage: usageOf(usage) } : {}),
  });
  return {
    data,
    chunk: chunkOf({
      text: join(said, 'text'),
      reasoning: join(said, 'thought'),
      toolCalls: callsIn(said).map(({ signature, ...call }) => call),
      choices: [...reasons.keys()],
      finishReasons: finishReasons.map(({ choice, reason }) => ({ choice, reason })),
      usage,
      model: identity.model,
    }),
  };
}

function toMessage(said: readonly Said[]) {
  const text = join(said, 'text');
  const reasoning = join(said, 'thought');
  const calls = callsIn(said);
  const signature = said.flatMap((one) => (one.type === 'signature' ? [one.text] : [])).at(-1);
  const foreign = said.flatMap((one) => (one.type === 'foreign' ? [one.part] : []));
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    ...(calls.length === 0 ? {} : { tool_calls: calls.map((call) => ({ ...toolCall(call), index: undefined })) }),
    ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
    ...(signature === undefined ? {} : signed(signature)),
    ...(foreign.length === 0 ? {} : { gemini_parts: foreign }),
    refusal: null,
  };
}

function join(said: readonly Said[], type: 'text' | 'thought'): string {
  return said.map((one) => (one.type === type ? one.text : '')).join('');
}

function callsIn(said: readonly Said[]): Call[] {
  return said.flatMap((one) => (one.type === 'call' ? [one.call] : []));
}

function parse(text: string): Record<string, unknown>[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new MalformedAnswer('sent an answer that is not JSON');
  }
  const responses = Array.isArray(value) ? value : [value];
  if (!responses.every(isRecord)) throw new MalformedAnswer('sent an answer that is not a JSON object');
  return responses;
}
