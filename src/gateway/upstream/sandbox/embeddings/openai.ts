import * as z from 'zod';
import { firstIssue } from '../issues.ts';
import type { ModelName } from '../model-name.ts';
import { findEmbeddingModel } from '../models.ts';
import { countTokens } from '../tokens.ts';
import type { EmbeddingAsk, EmbeddingInput } from './answer.ts';
import { MOST_DIMENSIONS } from './vector.ts';

const text = z.string().min(1, 'input cannot be an empty string');
const tokens = z.array(z.int().min(0)).min(1);

const embeddingBody = z.object({
  model: z.string(),
  input: z.union(
    [text, z.array(text).min(1).max(2048), tokens, z.array(tokens).min(1).max(2048)],
    'expected a text, tokens, or a list of up to 2048 of them, none of them empty',
  ),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().min(1).max(MOST_DIMENSIONS).nullish(),
});

type Input = z.infer<typeof embeddingBody>['input'];

/** Reads a request for `/v1/embeddings`. */
export function readOpenAIEmbeddings(raw: Record<string, unknown>, name: ModelName): EmbeddingAsk {
  const parsed = embeddingBody.safeParse(raw);
  if (!parsed.success) throw firstIssue(parsed.error);
  const { input, encoding_format, dimensions } = parsed.data;
  const model = findEmbeddingModel(name.id);
  return {
    inputs: inputsOf(input),
    dimensions: dimensions ?? model.dimensions,
    writeVector: (vector, index) =>
      `{"object":"embedding","index":${index},"embedding":${encoding_format === 'base64' ? base64Of(vector) : `[${vector.join()}]`}}`,
    writeWhole: (vectors, promptTokens) =>
      `{"object":"list","data":[${vectors}],"model":${JSON.stringify(name.asked)},` +
      `"usage":{"prompt_tokens":${promptTokens},"total_tokens":${promptTokens}}}`,
  };
}

function inputsOf(input: Input): EmbeddingInput[] {
  if (typeof input === 'string') return [inputOf(input)];
  return isTokens(input) ? [inputOf(input)] : input.map(inputOf);
}

function inputOf(one: string | number[]): EmbeddingInput {
  if (typeof one === 'string') return { text: one, tokens: countTokens(one) };
  return { text: JSON.stringify(one), tokens: one.length };
}

function isTokens(input: Exclude<Input, string>): input is number[] {
  return typeof input[0] === 'number';
}

/** 32-bit numbers in little-endian order. */
function base64Of(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4);
  for (const [at, value] of vector.entries()) bytes.writeFloatLE(value, at * 4);
  return `"${bytes.toString('base64')}"`;
}
