import { OverloadedError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import { listSegments, type Position, segmentSize } from './segments.ts';

const MIB = 1_048_576;

export interface BacklogOptions {
  directory: string;
  /** Everything before it is in Postgres. */
  drained: Position;
  /** Where the journal ends. */
  end: Position;
  /** Most bytes between the two, before no more is begun. */
  maxBytes: number;
  log: Log;
}

/**
 * What of the journal is not in Postgres yet. The file system is asked once, at the beginning: from then on the sizes of
 * segments are known from where the journal left them.
 */
export class Backlog {
  readonly #maxBytes: number;
  readonly #log: Log;
  /** The sizes of the segments before the last that are not drained, ascending by their numbers. */
  readonly #closed = new Map<number, number>();
  #closedBytes = 0;
  #drained: Position;
  #end: Position;
  /** Something was refused since there was room. */
  #hasRefused = false;

  constructor({ directory, drained, end, maxBytes, log }: BacklogOptions) {
    this.#maxBytes = maxBytes;
    this.#log = log;
    this.#drained = drained;
    this.#end = end;
    for (const segment of listSegments(directory))
      if (segment >= drained.segment && segment < end.segment) this.#close(segment, segmentSize(directory, segment));
  }

  get bytes(): number {
    return Math.max(0, this.#closedBytes + this.#end.offset - this.#drained.offset);
  }

  get isFull(): boolean {
    return this.bytes >= this.#maxBytes;
  }

  /** The journal has grown. */
  grow(end: Position): void {
    if (end.segment !== this.#end.segment) this.#close(this.#end.segment, this.#end.offset);
    this.#end = end;
  }

  /** Postgres has taken what is before `drained`. */
  shrink(drained: Position): void {
    this.#drained = drained;
    for (const [segment, size] of this.#closed) {
      if (segment >= drained.segment) break;
      this.#closed.delete(segment);
      this.#closedBytes -= size;
    }
    if (!this.#hasRefused || this.isFull) return;
    this.#hasRefused = false;
    this.#log.info('the journal has room again');
  }

  /** @throws OverloadedError when there is room for no more than the ends of what runs. */
  assertRoom(): void {
    if (!this.isFull) return;
    if (!this.#hasRefused)
      this.#log.error(
        { bytes: this.bytes },
        'the journal is full, because Postgres does not take it; completions are refused',
      );
    this.#hasRefused = true;
    throw new OverloadedError(
      `The journal is full: ${Math.round(this.#maxBytes / MIB)} MiB of it wait for the database, which does not take it. ` +
        'Completions go on by themselves once it does; an admin can look after the database, or raise JOURNAL_MAX_MIB.',
    );
  }

  #close(segment: number, size: number): void {
    this.#closed.set(segment, size);
    this.#closedBytes += size;
  }
}
