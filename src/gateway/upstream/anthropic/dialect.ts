import { invalid } from '../../../platform/errors.ts';
import type { ChatCall, ChatRequest, Dialect, Piece } from '../dialect.ts';
import type { AnswerIdentity } from '../openai/write.ts';
import { readMessage } from './answer.ts';
import { toAnthropic } from './request.ts';
import { AnthropicStream } from './stream.ts';

/** Anthropic Messages: https://platform.claude.com/docs/en/api/messages */
export const anthropicDialect: Dialect = {
  auth: { header: 'x-api-key', prefix: '' },
  headers: { 'anthropic-version': '2023-06-01' },
  remoteImages: () => [],
  prepare: (request) => new AnthropicCall(request),
  prepareEmbeddings: () => {
    throw invalid('model', 'must be another one: Anthropic has no embeddings');
  },
};

class AnthropicCall implements ChatCall {
  readonly path = '/messages';
  readonly body: Buffer;
  readonly warnings: readonly string[];
  readonly raisedLimit: number;
  readonly #answerTool: string | null;
  readonly #identity: AnswerIdentity;

  constructor(request: ChatRequest) {
    const { params, warnings, answerTool } = toAnthropic(request);
    this.body = Buffer.from(JSON.stringify(params));
    this.warnings = warnings;
    this.raisedLimit = params.max_tokens;
    this.#answerTool = answerTool;
    this.#identity = {
      id: `chatcmpl-${request.requestId}`,
      created: Math.floor(request.startedAt / 1_000),
      model: request.model.name,
    };
  }

  openStream(): AnthropicStream {
    return new AnthropicStream({ ...this.#identity }, this.#answerTool);
  }

  readAnswer(text: string): Piece {
    return readMessage(text, this.#identity, this.#answerTool);
  }
}
