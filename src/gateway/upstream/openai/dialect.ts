import { type ChatCall, type ChatRequest, type Dialect, MalformedAnswer, type Piece } from '../dialect.ts';
import { spliceMembers } from '../splice.ts';
import { OpenAIEmbeddings } from './embeddings.ts';
import { parseAnswer } from './parse-answer.ts';
import { readCompletion } from './read-chunk.ts';
import { OpenAIStream } from './stream.ts';

/** OpenAI chat completions: the client's own words. Requests and answers are relayed as they came. */
export const openAIDialect: Dialect = {
  auth: { header: 'authorization', prefix: 'Bearer ' },
  headers: {},
  remoteImages: () => [],
  prepare: (request) => new OpenAICall(request),
  prepareEmbeddings: (request) => new OpenAIEmbeddings(request),
};

class OpenAICall implements ChatCall {
  readonly path = '/chat/completions';
  readonly body: Buffer;
  readonly warnings = [];

  /**
   * The body as it came, with only `model` and (so that every stream can be billed) `stream_options.include_usage` set
   * in its bytes.
   */
  constructor({ body: { chat, bytes }, model, isStreamed, wantsUsage }: ChatRequest) {
    const edits: Record<string, string> = {};
    if (chat.model !== model.name) edits.model = JSON.stringify(model.name);
    if (isStreamed && !wantsUsage) {
      edits.stream_options = JSON.stringify({ ...chat.stream_options, include_usage: true });
    }
    this.body = Object.keys(edits).length > 0 ? spliceMembers(bytes, edits) : bytes;
  }

  openStream(): OpenAIStream {
    return new OpenAIStream();
  }

  readAnswer(text: string): Piece {
    const answer = parseAnswer(text);
    const chunk = readCompletion(answer);
    if (chunk.error === null && chunk.choices.length === 0) throw new MalformedAnswer('sent an answer without choices');
    return { data: text, chunk };
  }
}
