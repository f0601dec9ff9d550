import type { Asked } from './admission/admit.ts';
import { isRecord, outputLimit, type ParsedBody } from './upstream/body.ts';
import { promptOfEmbeddings } from './upstream/embeddings-body.ts';
import type { ProviderKind } from './upstream/kinds.ts';
import { readContent } from './upstream/openai/read-chunk.ts';
import { spliceMembers } from './upstream/splice.ts';

/**
 * What an image by address can be read as, at most: gpt-4o-mini makes 2,833 tokens of it and 5,667 of each of up to six
 * tiles (https://platform.openai.com/docs/guides/images-vision).
 */
const IMAGE_TOKENS = 36_835;
/**
 * What a provider puts before tools and schemas: Anthropic up to 530 tokens
 * (https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview).
 */
const TOOLS_TOKENS = 600;
/** What a file or a video that is only named can be read as, where the model's context is unknown. */
const LARGEST_CONTEXT = 2_000_000;

/** The most tokens of each answer; null when nothing limits them. */
export function outputBound(asked: Asked, modelLimit: number | null): number | null {
  if (!('chat' in asked)) return 0;
  const { max_tokens: limit, max_completion_tokens: newer } = asked.chat;
  // A provider may read the one or the other.
  return limit != null && newer != null ? Math.max(limit, newer) : (outputLimit(asked.chat) ?? modelLimit);
}

/** How many answers are asked for. */
export function choicesOf(asked: Asked): number {
  return 'chat' in asked ? (asked.chat.n ?? 1) : 1;
}

/**
 * Tokens that are paid like those of the answer, and that its limit does not count: what was predicted of it and did not
 * come.
 */
export function predictedBound(asked: Asked): number {
  const prediction = 'chat' in asked ? asked.chat.prediction : null;
  return isRecord(prediction) ? Buffer.byteLength(readContent(prediction.content)) : 0;
}

/**
 * The most tokens that the input can have. A token is at least one byte; images are read as more than the bytes of their
 * address or data, and what is only named can be as long as the context.
 */
export function inputBound(asked: Asked, contextTokens: number | null): number {
  const { bytes } = asked;
  if (!('chat' in asked)) return bytes.length;
  const { messages, tools, functions, response_format: format } = asked.chat;
  const hasTools = tools != null || functions != null || format != null;
  const most = contextTokens ?? LARGEST_CONTEXT;
  let tokens = bytes.length + (hasTools ? TOOLS_TOKENS : 0);
  for (const message of messages) {
    if (!isRecord(message)) continue;
    // Sound of an earlier answer is only named.
    if (isRecord(message.audio)) tokens += most;
    if (Array.isArray(message.content)) for (const part of message.content) tokens += tokensOfPart(part, most);
  }
  return tokens;
}

/** Beyond its bytes. */
function tokensOfPart(part: unknown, contextTokens: number): number {
  if (!isRecord(part) || part.type === 'text' || part.type === 'refusal') return 0;
  if (part.type === 'image_url') return IMAGE_TOKENS;
  // Sound is at most a token for each byte of its data.
  return part.type === 'input_audio' ? 0 : contextTokens;
}

/** The same request, with no more than that many tokens for each answer. */
export function withOutputLimit(body: ParsedBody, tokens: number, kind: ProviderKind): ParsedBody {
  const named = (['max_tokens', 'max_completion_tokens'] as const).filter((name) => body.chat[name] != null);
  // OpenAI's own models that reason take only the newer name; most others know only the older one.
  const names = named.length > 0 ? named : [kind === 'OPENAI' ? 'max_completion_tokens' : 'max_tokens'];
  const limits = Object.fromEntries(names.map((name) => [name, tokens]));
  const edits = Object.fromEntries(names.map((name) => [name, `${tokens}`]));
  return { bytes: spliceMembers(body.bytes, edits), chat: { ...body.chat, ...limits } };
}

/** The text of a request, and the tokens that it holds in place of text: for usage that the provider did not report. */
export function promptOf(asked: Asked): { text: string; tokens: number } {
  if (!('chat' in asked)) return promptOfEmbeddings(asked.embeddings);
  const texts = asked.chat.messages.map((message) => (isRecord(message) ? readContent(message.content) : ''));
  return { text: texts.join(' '), tokens: 0 };
}

/**
 * Controls for the sandbox as its header takes them: a dialect that is not OpenAI's has no place for them in its body.
 * @param header those that came in a header; members of the body win over them
 */
export function sandboxControls(asked: Asked, header: string | null): string | null {
  const member = 'chat' in asked ? asked.chat.sandbox : asked.embeddings.sandbox;
  if (!isRecord(member)) return header;
  const scalars = Object.entries(member).filter(([, value]) => typeof value !== 'object');
  const pairs = scalars.map(([name, value]) => `${name}=${value}`);
  return [...(header ? [header] : []), ...pairs].join(';').replace(/[^\x20-\x7e]/g, '?');
}
