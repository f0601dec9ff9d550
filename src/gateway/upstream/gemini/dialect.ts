import type { ChatCall, ChatRequest, Dialect, Piece } from '../dialect.ts';
import type { AnswerIdentity } from '../openai/write.ts';
import { readResponse } from './answer.ts';
import { GeminiEmbeddings } from './embeddings.ts';
import { modelPath } from './model-path.ts';
import { remoteImages } from './parts.ts';
import { toGemini } from './request.ts';
import { GeminiStream } from './stream.ts';

/** Gemini generateContent: https://ai.google.dev/api/generate-content */
export const geminiDialect: Dialect = {
  auth: { header: 'x-goog-api-key', prefix: '' },
  headers: {},
  remoteImages,
  prepare: (request) => new GeminiCall(request),
  prepareEmbeddings: (request) => new GeminiEmbeddings(request),
};

class GeminiCall implements ChatCall {
  readonly path: string;
  readonly body: Buffer;
  readonly warnings: readonly string[];
  readonly #identity: AnswerIdentity;

  constructor(request: ChatRequest) {
    const { params, warnings } = toGemini(request);
    const method = request.isStreamed ? 'streamGenerateContent?alt=sse' : 'generateContent';
    this.path = `/${modelPath(request.model.name)}:${method}`;
    this.body = Buffer.from(JSON.stringify(params));
    this.warnings = warnings;
    this.#identity = {
      id: request.requestId,
      created: Math.floor(request.startedAt / 1_000),
      model: request.model.name,
    };
  }

  openStream(): GeminiStream {
    return new GeminiStream(this.#identity);
  }

  readAnswer(text: string): Piece {
    return readResponse(text, this.#identity);
  }
}
