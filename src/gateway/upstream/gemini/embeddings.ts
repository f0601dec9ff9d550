import { invalid } from '../../../platform/errors.ts';
import { UNKNOWN_USAGE } from '../../ledger/prices.ts';
import { isRecord } from '../body.ts';
import { chunkOf } from '../chunk.ts';
import { type DialectCall, type EmbeddingsRequest, MalformedAnswer, type Piece } from '../dialect.ts';
import { type EmbeddingsBody, inputsOf } from '../embeddings-body.ts';
import { Notes } from '../notes.ts';
import { parseAnswer } from '../openai/parse-answer.ts';
import { tokenCount } from '../token-count.ts';
import { modelPath } from './model-path.ts';

/** Members that are put into Gemini's words; of all others it is said that they were left out. */
const TRANSLATED = new Set(['model', 'input', 'encoding_format', 'dimensions', 'sandbox']);

/** Embeddings by `batchEmbedContents`: one content for each text. */
export class GeminiEmbeddings implements DialectCall {
  readonly path: string;
  readonly body: Buffer;
  readonly warnings: readonly string[];
  readonly #model: string;
  readonly #count: number;
  readonly #isBase64: boolean;

  /** @throws ValidationError for inputs that are tokens: those belong to one vocabulary, which is not Gemini's */
  constructor({ body: { embeddings }, model }: EmbeddingsRequest) {
    this.path = `/${modelPath(model.name)}:batchEmbedContents`;
    const name = model.name.includes('/') ? model.name : `models/${model.name}`;
    const requests = requestsOf(embeddings, name);
    this.#count = requests.length;
    this.body = Buffer.from(JSON.stringify({ requests }));
    const notes = new Notes('Gemini');
    for (const [member, value] of Object.entries(embeddings))
      if (value != null && !TRANSLATED.has(member)) notes.leftOut(member, 'Gemini does not take it for embeddings');
    this.warnings = notes.warnings;
    this.#model = model.name;
    this.#isBase64 = embeddings.encoding_format === 'base64';
  }

  readAnswer(text: string): Piece {
    const answer = parseAnswer(text);
    if (answer.error != null) return { data: text, chunk: chunkOf({ error: answer.error }) };
    const { embeddings, usageMetadata } = answer;
    if (!Array.isArray(embeddings) || embeddings.length === 0)
      throw new MalformedAnswer('sent an answer without embeddings');
    if (embeddings.length !== this.#count)
      throw new MalformedAnswer(`sent ${embeddings.length} embeddings for ${this.#count} texts`);
    const inputTokens = tokenCount(isRecord(usageMetadata) ? usageMetadata.promptTokenCount : null);
    const data = JSON.stringify({
      object: 'list',
      data: embeddings.map((embedding, index) => ({
        object: 'embedding',
        index,
        embedding: this.#write(valuesOf(embedding)),
      })),
      model: this.#model,
      usage: { prompt_tokens: inputTokens ?? 0, total_tokens: inputTokens ?? 0 },
    });
    const usage = inputTokens === null ? null : { ...UNKNOWN_USAGE, inputTokens, outputTokens: 0 };
    return { data, chunk: chunkOf({ usage }) };
  }

  /** Base64 is of the numbers as 32-bit floats, little end first, as OpenAI writes it. */
  #write(values: number[]): number[] | string {
    if (!this.#isBase64) return values;
    const bytes = Buffer.alloc(values.length * 4);
    for (const [at, value] of values.entries()) bytes.writeFloatLE(value, at * 4);
    return bytes.toString('base64');
  }
}

/** https://ai.google.dev/api/embeddings */
const MOST_INPUTS = 100;

function requestsOf(body: EmbeddingsBody, model: string) {
  const inputs = inputsOf(body);
  if (inputs.length > MOST_INPUTS) throw invalid('input', `must hold at most ${MOST_INPUTS} texts, for Gemini`);
  return inputs.map((input) => {
    if (typeof input !== 'string') throw invalid('input', 'must be texts, because Gemini takes no tokens');
    return {
      model,
      content: { parts: [{ text: input }] },
      ...(body.dimensions == null ? {} : { outputDimensionality: body.dimensions }),
    };
  });
}

function valuesOf(embedding: unknown): number[] {
  const values = isRecord(embedding) ? embedding.values : null;
  if (!Array.isArray(values) || !values.every((value) => typeof value === 'number'))
    throw new MalformedAnswer('sent an embedding that is not a list of numbers');
  return values;
}
