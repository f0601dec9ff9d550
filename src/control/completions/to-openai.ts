import type { CompletionRequest } from '../../gateway/completion.ts';
import { ValidationError } from '../../platform/errors.ts';
import { parseInput } from '../schema/parse-input.ts';
import { type CompletionInput, completionInput, type ParsedCompletion } from './input.ts';

/** Members of an OpenAI body that `extra` may not set, with the field that does. */
const TYPED_MEMBERS: Readonly<Record<string, string>> = {
  model: 'is set by the field model',
  messages: 'is set by the field messages',
  max_completion_tokens: 'is set by the field maxOutputTokens',
  temperature: 'is set by the field temperature',
  top_p: 'is set by the field topP',
  stop: 'is set by the field stop',
  seed: 'is set by the field seed',
  tools: 'is set by the field tools',
  tool_choice: 'is set by the field toolChoice',
  response_format: 'is set by the field responseFormat',
  reasoning_effort: 'is set by the field reasoningEffort',
  user: 'is set by the field user',
  stream: 'is set by the operation: complete answers whole, completion streams',
  stream_options: 'is set by the operation; usage is always reported',
  n: 'must be left out: an answer here has one choice',
};

/**
 * A completion's input as the gateway takes it: an OpenAI chat completions body, and what travels beside it.
 * @throws ValidationError with dotted paths below `input`.
 */
export function toOpenAI(
  input: CompletionInput,
  isStreamed: boolean,
): Pick<CompletionRequest, 'body' | 'tags' | 'powerLevel' | 'sessionKey' | 'key' | 'resumeFrom'> {
  const parsed = parseInput(completionInput, input);
  refuseClashes(parsed, isStreamed);
  const body = {
    ...(parsed.model == null ? {} : { model: parsed.model }),
    messages: parsed.messages.map(toMessage),
    ...omitNullish({
      max_completion_tokens: parsed.maxOutputTokens,
      temperature: parsed.temperature,
      top_p: parsed.topP,
      stop: parsed.stop,
      seed: parsed.seed,
      tools: parsed.tools?.map((tool) => ({ type: 'function', function: omitNullish(tool) })),
      tool_choice: parsed.toolChoice && toToolChoice(parsed.toolChoice),
      response_format: parsed.responseFormat && toResponseFormat(parsed.responseFormat),
      reasoning_effort: parsed.reasoningEffort?.toLowerCase(),
      user: parsed.user,
    }),
    ...parsed.extra,
    ...(isStreamed ? { stream: true } : {}),
  };
  return {
    body: Buffer.from(JSON.stringify(body)),
    tags: Object.fromEntries((parsed.tags ?? []).map(({ name, value }) => [name, value])),
    ...(parsed.powerLevel ? { powerLevel: parsed.powerLevel } : {}),
    ...(parsed.sessionKey ? { sessionKey: parsed.sessionKey } : {}),
    ...(parsed.requestId == null ? {} : { key: parsed.requestId }),
    ...(parsed.resumeFrom == null ? {} : { resumeFrom: parsed.resumeFrom }),
  };
}

function refuseClashes({ extra, maxOutputTokens, requestId, resumeFrom }: ParsedCompletion, isStreamed: boolean): void {
  const issues = Object.keys(extra ?? {}).flatMap((member) => {
    if (member === 'max_tokens' && maxOutputTokens != null)
      return [{ path: 'extra.max_tokens', message: 'must not be given together with maxOutputTokens' }];
    if (!Object.hasOwn(TYPED_MEMBERS, member)) return [];
    return [{ path: `extra.${member}`, message: TYPED_MEMBERS[member] ?? '' }];
  });
  if (resumeFrom != null && (requestId == null || !isStreamed))
    issues.push({ path: 'resumeFrom', message: 'must be given with requestId, to the subscription completion' });
  if (issues.length > 0) throw new ValidationError(issues);
}

function toMessage(message: ParsedCompletion['messages'][number]) {
  return {
    role: message.role.toLowerCase(),
    content: message.content ?? message.parts?.map(toPart) ?? null,
    ...omitNullish({
      name: message.name,
      tool_call_id: message.toolCallId,
      tool_calls: message.toolCalls?.map(({ id, ...call }) => ({ id, type: 'function', function: call })),
    }),
  };
}

function toPart(part: NonNullable<ParsedCompletion['messages'][number]['parts']>[number]) {
  if ('text' in part) return { type: 'text', text: part.text };
  const { url, detail } = part.imageUrl;
  return { type: 'image_url', image_url: omitNullish({ url, detail: detail?.toLowerCase() }) };
}

function toToolChoice(choice: NonNullable<ParsedCompletion['toolChoice']>) {
  return 'mode' in choice ? choice.mode.toLowerCase() : { type: 'function', function: { name: choice.tool } };
}

function toResponseFormat({ type, name, schema, isStrict }: NonNullable<ParsedCompletion['responseFormat']>) {
  if (type !== 'JSON_SCHEMA') return { type: type.toLowerCase() };
  const json_schema = omitNullish({ name: name ?? 'answer', schema, strict: isStrict });
  return { type: 'json_schema', json_schema };
}

function omitNullish<T extends Record<string, unknown>>(members: T): Partial<T> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value != null)) as Partial<T>;
}
