import type { ModelEntry } from '../snapshot/snapshot.ts';
import type { ParsedBody } from './body.ts';
import type { Chunk } from './chunk.ts';
import type { ParsedEmbeddings } from './embeddings-body.ts';
import type { ProviderKind } from './kinds.ts';

/** The wire formats that Signalbox speaks with providers. */
export type DialectName = 'OPENAI' | 'ANTHROPIC' | 'GEMINI';

/** A client's request on its way to one target. */
interface RequestFacts {
  kind: ProviderKind;
  model: Pick<ModelEntry, 'name' | 'maxOutputTokens'>;
  /** Id of the completion; what the provider leaves unnamed is named after it. */
  requestId: string;
  /** Milliseconds since 1970. */
  startedAt: number;
}

export interface ChatRequest extends RequestFacts {
  /** What the client sent, in the OpenAI shape. */
  body: ParsedBody;
  isStreamed: boolean;
  /** The client asked for the usage at the end of its stream. */
  wantsUsage: boolean;
  /** The images behind the http addresses that `remoteImages` named, for dialects that take no addresses. */
  images: ReadonlyMap<string, InlineImage>;
}

export interface EmbeddingsRequest extends RequestFacts {
  /** What the client sent, in the OpenAI shape. */
  body: ParsedEmbeddings;
}

export interface InlineImage {
  /** image/png */
  mediaType: string;
  /** Base64. */
  data: string;
}

/** What one event of a provider amounts to in the OpenAI dialect. */
export interface Piece {
  /** JSON text of a `chat.completion.chunk`, or of a whole `chat.completion` or list of embeddings; of `{"error":{…}}` where `chunk.error` is set. */
  data: string;
  /** What it says. */
  chunk: Chunk;
}

/** Reads one streamed answer: a state machine, without any input or output of its own. */
export interface StreamReader {
  /** The provider said that nothing follows. */
  readonly isDone: boolean;
  /** Every choice that appeared has its finish reason; an answer that ends without is cut off. */
  readonly isFinished: boolean;
  /**
   * Takes the `data` of the next event. One that is broken gives nothing: whether the answer is whole shows at its end.
   * @throws MalformedAnswer when it holds more than can be kept
   */
  push(data: string): readonly Piece[];
  /** The stream is over. What was kept back comes now. */
  end(): readonly Piece[];
}

/** One call in a provider's own words, and how to read what comes back whole. */
export interface DialectCall {
  /** Behind the provider's base URL, with its query: `/messages`. */
  path: string;
  body: Buffer;
  /** What of the request the provider does not get as it was sent, a sentence each. */
  warnings: readonly string[];
  /** The most tokens that may be answered, where that is more than the client asked for. */
  raisedLimit?: number;
  /**
   * Reads an answer that was not streamed.
   * @throws MalformedAnswer
   */
  readAnswer(text: string): Piece;
}

/** A chat call can be answered as a stream. */
export interface ChatCall extends DialectCall {
  openStream(): StreamReader;
}

/** A wire format, as pure functions. */
export interface Dialect {
  /** How a key is sent: the header's name, and what stands before the key in it. */
  auth: { header: string; prefix: string };
  /** Headers that every call carries. */
  headers: Readonly<Record<string, string>>;
  /** The addresses of images that have to be fetched before `prepare`. */
  remoteImages(body: ParsedBody): readonly string[];
  /**
   * Puts a request into the provider's words.
   * @throws ValidationError when it asks for what the dialect cannot express and that must not be dropped
   */
  prepare(request: ChatRequest): ChatCall;
  /**
   * The same for embeddings.
   * @throws ValidationError also where the dialect has none
   */
  prepareEmbeddings(request: EmbeddingsRequest): DialectCall;
}

/** As much of an answer as a reader keeps, in characters: an event, or a call that comes in pieces. */
export const LARGEST_KEPT = 16 * 1024 * 1024;

/** An answer that is none. The message completes "<provider> …": `sent an answer that is not JSON`. */
export class MalformedAnswer extends Error {}
