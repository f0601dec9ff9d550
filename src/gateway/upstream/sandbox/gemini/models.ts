import { invalid } from '../../../../platform/errors.ts';
import { type ChatModel, EMBEDDING_MODEL, type EmbeddingModel, SANDBOX_MODELS, unknownModel } from '../models.ts';

const DEFAULT_PAGE = 50;
const LARGEST_PAGE = 1000;
const MODELS = [...SANDBOX_MODELS.map(describeChat), describeEmbedding(EMBEDDING_MODEL)];

/**
 * `GET /v1beta/models`, a page at a time.
 * @param query `pageSize`, and the `pageToken` that the page before gave.
 * @throws ValidationError
 */
export function listModels(query: URLSearchParams) {
  const size = Number(query.get('pageSize') || DEFAULT_PAGE);
  const from = Number(query.get('pageToken') || 0);
  if (!Number.isInteger(size) || size < 0) throw invalid('pageSize', 'must be a whole number');
  if (!Number.isInteger(from) || from < 0) throw invalid('pageToken', 'is not one that the sandbox gave');
  const to = from + Math.min(size, LARGEST_PAGE);
  return { models: MODELS.slice(from, to), ...(to < MODELS.length && { nextPageToken: String(to) }) };
}

/** @throws ModelNotFoundError */
export function readModel(id: string) {
  const model = MODELS.find(({ name }) => name === `models/${id}`);
  if (!model) throw unknownModel(id);
  return model;
}

function describeChat(model: ChatModel) {
  return {
    ...describe(model, ['generateContent']),
    outputTokenLimit: model.maxOutputTokens,
    ...(model.reasoningTokens > 0 && { thinking: true }),
  };
}

function describeEmbedding(model: EmbeddingModel) {
  return { ...describe(model, ['embedContent']), outputTokenLimit: 1 };
}

function describe({ id, displayName, contextTokens }: ChatModel | EmbeddingModel, methods: readonly string[]) {
  return {
    name: `models/${id}`,
    version: '001',
    displayName,
    description: 'Played by the Signalbox sandbox.',
    inputTokenLimit: contextTokens,
    supportedGenerationMethods: methods,
  };
}
