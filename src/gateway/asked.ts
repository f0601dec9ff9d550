import type { Asked } from './admission/admit.ts';
import { isRecord, outputLimit } from './upstream/body.ts';
import { promptOfEmbeddings } from './upstream/embeddings-body.ts';
import { readContent } from './upstream/openai/read-chunk.ts';

/** The most tokens that can be answered, over all choices; null when nothing limits them. */
export function outputBound(asked: Asked, modelLimit: number | null): number | null {
  if (!('chat' in asked)) return 0;
  const limit = outputLimit(asked.chat) ?? modelLimit;
  return limit === null ? null : limit * (asked.chat.n ?? 1);
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
