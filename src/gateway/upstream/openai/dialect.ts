import { type ChatCall, type ChatRequest, type Dialect, MalformedAnswer, type Piece } from '../dialect.ts';
import { PROVIDER_KINDS } from '../kinds.ts';
import { Notes } from '../notes.ts';
import { spliceMembers } from '../splice.ts';
import { OpenAIEmbeddings } from './embeddings.ts';
import { parseAnswer } from './parse-answer.ts';
import { errorPiece, readCompletion } from './read-chunk.ts';
import { OpenAIStream } from './stream.ts';

/** OpenAI chat completions: the client's own words. Requests and answers are relayed as they came. */
export const openAIDialect: Dialect = {
  auth: { header: 'authorization', prefix: 'Bearer ' },
  headers: {},
  remoteImages: () => [],
  prepare: (request) => new OpenAICall(request),
  prepareEmbeddings: (request) => new OpenAIEmbeddings(request),
};

/** What decides how much the answer may cost. */
const PAID_BY = ['n', 'max_tokens', 'max_completion_tokens'] as const;

class OpenAICall implements ChatCall {
  readonly path = '/chat/completions';
  readonly body: Buffer;
  readonly warnings: readonly string[];
  readonly #wantsUsage: boolean;

  /**
   * The body as it came, with only `model`, limits that stand twice, (so that every stream can be billed)
   * `stream_options.include_usage`, and what the kind is known to refuse changed in its bytes.
   */
  constructor(request: ChatRequest) {
    const { body, model, isStreamed, wantsUsage } = request;
    // Even where it is the same: a body may name several, and the provider may read another one than Signalbox.
    const edits: Record<string, string | null> = { model: JSON.stringify(model.name) };
    for (const name of PAID_BY) if (Object.hasOwn(body.chat, name)) edits[name] = JSON.stringify(body.chat[name]);
    if (isStreamed && !wantsUsage) {
      edits.stream_options = JSON.stringify({ ...body.chat.stream_options, include_usage: true });
    }
    this.#wantsUsage = wantsUsage;
    this.warnings = adapt(request, edits);
    this.body = spliceMembers(body.bytes, edits);
  }

  openStream(): OpenAIStream {
    return new OpenAIStream(this.#wantsUsage);
  }

  readAnswer(text: string): Piece {
    const answer = parseAnswer(text);
    const chunk = readCompletion(answer);
    if (chunk.error === null && chunk.choices.length === 0) throw new MalformedAnswer('sent an answer without choices');
    return chunk.error === null ? { data: text, chunk } : errorPiece(text, chunk);
  }
}

/** Adds what a kind needs changed. @returns what is lost by that */
function adapt({ kind, body: { chat } }: ChatRequest, edits: Record<string, string | null>): readonly string[] {
  const { name, refuses, renames } = PROVIDER_KINDS[kind];
  for (const [member, other] of Object.entries(renames)) {
    if (!Object.hasOwn(chat, member)) continue;
    edits[member] = null;
    if (chat[other] == null) edits[other] = JSON.stringify(chat[member]);
  }
  const notes = new Notes(name);
  for (const member of refuses) {
    delete edits[member];
    if (!Object.hasOwn(chat, member)) continue;
    edits[member] = null;
    // Usage comes all the same from those that take no options.
    if (chat[member] != null && member !== 'stream_options') notes.leftOut(member);
  }
  return notes.warnings;
}
