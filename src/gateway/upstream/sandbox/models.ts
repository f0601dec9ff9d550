import { ModelNotFoundError, shorten } from '../../../platform/errors.ts';
import { FAULTS, type Fault } from './faults.ts';

/** A model that the sandbox plays in conversations. */
export interface ChatModel {
  id: string;
  displayName: string;
  /** Length of an answer where the request does not ask for one. */
  sentences: number;
  /** Reasoning tokens before the answer at medium effort; 0 for models that do not reason. */
  reasoningTokens: number;
  /** What its lists say that it takes and gives; the sandbox does not hold requests to it. */
  contextTokens: number;
  maxOutputTokens: number;
  /** What goes wrong with every answer of this model. */
  fault: Fault | null;
}

/** A model that turns texts into vectors. */
export interface EmbeddingModel {
  id: string;
  displayName: string;
  contextTokens: number;
  /** Length of a vector where the request does not ask for one. */
  dimensions: number;
}

const SMALL: ChatModel = {
  id: 'sandbox-small',
  displayName: 'Sandbox small',
  sentences: 2,
  reasoningTokens: 0,
  contextTokens: 128_000,
  maxOutputTokens: 16_384,
  fault: null,
};

export const SANDBOX_MODELS: readonly ChatModel[] = [
  SMALL,
  {
    ...SMALL,
    id: 'sandbox-large',
    displayName: 'Sandbox large',
    sentences: 10,
    contextTokens: 1_000_000,
    maxOutputTokens: 65_536,
  },
  {
    ...SMALL,
    id: 'sandbox-reasoning',
    displayName: 'Sandbox reasoning',
    sentences: 4,
    reasoningTokens: 32,
    contextTokens: 200_000,
    maxOutputTokens: 65_536,
  },
  ...FAULTS.map((fault) => ({ ...SMALL, id: `sandbox-fault-${fault}`, displayName: `Sandbox fault: ${fault}`, fault })),
];

export const EMBEDDING_MODEL: EmbeddingModel = {
  id: 'sandbox-embedding',
  displayName: 'Sandbox embedding',
  contextTokens: 8_192,
  dimensions: 256,
};

const chatModels = new Map(SANDBOX_MODELS.map((model) => [model.id, model]));

/** @throws ModelNotFoundError when the sandbox has no conversations with a model of that name. */
export function findChatModel(id: string): ChatModel {
  const model = chatModels.get(id);
  if (model) return model;
  if (id === EMBEDDING_MODEL.id)
    throw new ModelNotFoundError(`The model \`${id}\` makes embeddings and does not chat.`);
  throw unknownModel(id);
}

/** @throws ModelNotFoundError when the sandbox makes no embeddings with a model of that name. */
export function findEmbeddingModel(id: string): EmbeddingModel {
  if (id === EMBEDDING_MODEL.id) return EMBEDDING_MODEL;
  if (chatModels.has(id)) throw new ModelNotFoundError(`The model \`${id}\` chats and makes no embeddings.`);
  throw unknownModel(id);
}

export function unknownModel(id: string): ModelNotFoundError {
  return new ModelNotFoundError(`The model \`${shorten(id)}\` does not exist in the sandbox.`);
}
