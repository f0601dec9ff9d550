import { chunkOf } from '../chunk.ts';
import { type DialectCall, type EmbeddingsRequest, MalformedAnswer, type Piece } from '../dialect.ts';
import { spliceMembers } from '../splice.ts';
import { parseAnswer } from './parse-answer.ts';
import { readUsage } from './usage.ts';

/** Embeddings as OpenAI has them: the body as it came, with only `model` set in its bytes; the answer as it comes. */
export class OpenAIEmbeddings implements DialectCall {
  readonly path = '/embeddings';
  readonly body: Buffer;
  readonly warnings = [];

  constructor({ body: { bytes }, model }: EmbeddingsRequest) {
    this.body = spliceMembers(bytes, { model: JSON.stringify(model.name) });
  }

  readAnswer(text: string): Piece {
    const { data, model, usage, error } = parseAnswer(text);
    if (error != null) return { data: text, chunk: chunkOf({ error }) };
    if (!Array.isArray(data) || data.length === 0) throw new MalformedAnswer('sent an answer without embeddings');
    const named = typeof model === 'string' && model !== '' ? model : null;
    return { data: text, chunk: chunkOf({ model: named, usage: readUsage(usage) }) };
  }
}
