import * as z from 'zod';
import { invalid } from '../../../../platform/errors.ts';
import { firstIssue } from '../issues.ts';
import type { ModelName } from '../model-name.ts';
import { type EmbeddingModel, findEmbeddingModel } from '../models.ts';
import { countTokens } from '../tokens.ts';
import type { EmbeddingAsk, EmbeddingInput } from './answer.ts';
import { MOST_DIMENSIONS } from './vector.ts';

const dimensions = z.int().min(1).max(MOST_DIMENSIONS).optional();
const embedBody = z.object({
  model: z.string().optional(),
  content: z.object({ parts: z.array(z.object({ text: z.string().min(1) })).min(1) }),
  outputDimensionality: dimensions,
  embedContentConfig: z.object({ outputDimensionality: dimensions }).optional(),
});
const batchBody = z.object({ requests: z.array(embedBody).min(1).max(100) });

type EmbedBody = z.infer<typeof embedBody>;

/** Reads a request for `:embedContent`. */
export function readEmbedContent(raw: Record<string, unknown>, name: ModelName): EmbeddingAsk {
  const parsed = embedBody.safeParse(raw);
  if (!parsed.success) throw firstIssue(parsed.error);
  return askOf([parsed.data], name, (vectors) => `"embedding":${vectors}`);
}

/** Reads a request for `:batchEmbedContents`. */
export function readBatchEmbedContents(raw: Record<string, unknown>, name: ModelName): EmbeddingAsk {
  const parsed = batchBody.safeParse(raw);
  if (!parsed.success) throw firstIssue(parsed.error);
  return askOf(parsed.data.requests, name, (vectors) => `"embeddings":[${vectors}]`);
}

function askOf(requests: readonly EmbedBody[], name: ModelName, member: (vectors: string) => string): EmbeddingAsk {
  const model = findEmbeddingModel(name.id);
  const [first] = requests;
  const wanted = dimensionsOf(first, model);
  for (const [index, request] of requests.entries()) {
    if (request.model !== undefined && request.model !== `models/${name.asked}`) {
      throw invalid(`requests[${index}].model`, 'must be the model that the URL names');
    }
    if (dimensionsOf(request, model) !== wanted) {
      throw invalid(`requests[${index}].outputDimensionality`, 'must be the same in the whole batch');
    }
  }
  return {
    inputs: requests.map(inputOf),
    dimensions: wanted,
    writeVector: (vector) => `{"values":[${vector.join()}]}`,
    writeWhole: (vectors, promptTokens) => `{${member(vectors)},"usageMetadata":{"promptTokenCount":${promptTokens}}}`,
  };
}

function dimensionsOf(request: EmbedBody | undefined, model: EmbeddingModel): number {
  return request?.outputDimensionality ?? request?.embedContentConfig?.outputDimensionality ?? model.dimensions;
}

function inputOf({ content }: EmbedBody): EmbeddingInput {
  const text = content.parts.map((part) => part.text).join('');
  return { text, tokens: countTokens(text) };
}
