import type { Piece, StreamReader } from '../dialect.ts';
import { spliceMembers } from '../splice.ts';
import { errorPiece, parseChunk } from './read-chunk.ts';

/** Reads a stream of chat completion chunks, whose text stays as it is. */
export class OpenAIStream implements StreamReader {
  isDone = false;
  readonly #wantsUsage: boolean;
  readonly #openChoices = new Set<number>();
  readonly #finishedChoices = new Set<number>();

  /** @param wantsUsage the client asked for the usage at the end */
  constructor(wantsUsage: boolean) {
    this.#wantsUsage = wantsUsage;
  }

  get isFinished(): boolean {
    return this.#finishedChoices.size > 0 && this.#finishedChoices.size >= this.#openChoices.size;
  }

  push(data: string): Piece[] {
    if (data.trim() === '[DONE]') {
      this.isDone = true;
      return [];
    }
    const chunk = parseChunk(data);
    if (!chunk) return [];
    for (const choice of chunk.choices) this.#openChoices.add(choice);
    for (const { choice } of chunk.finishReasons) this.#finishedChoices.add(choice);
    if (chunk.error !== null) return [errorPiece(data, chunk)];
    // It was asked for to bill the stream. What comes with something else in one event is taken out of that.
    const isUnwanted = chunk.usage !== null && !chunk.isUsageOnly && !this.#wantsUsage;
    return [{ data: isUnwanted ? withoutUsage(data) : data, chunk }];
  }

  end(): Piece[] {
    return [];
  }
}

function withoutUsage(data: string): string {
  return spliceMembers(Buffer.from(data), { usage: null }).toString();
}
