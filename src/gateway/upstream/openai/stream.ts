import type { Piece, StreamReader } from '../dialect.ts';
import { errorPiece, parseChunk } from './read-chunk.ts';

/** Reads a stream of chat completion chunks, whose text stays as it is. */
export class OpenAIStream implements StreamReader {
  isDone = false;
  readonly #openChoices = new Set<number>();
  readonly #finishedChoices = new Set<number>();

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
    return [chunk.error === null ? { data, chunk } : errorPiece(data, chunk)];
  }

  end(): Piece[] {
    return [];
  }
}
