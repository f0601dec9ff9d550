import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { FRAME_OVERHEAD, MAX_PAYLOAD_BYTES, unframe } from './frames.ts';
import {
  checkHeader,
  JournalError,
  type JournalIdentity,
  listSegments,
  type Position,
  segmentPath,
} from './segments.ts';

const PIECE_BYTES = MAX_PAYLOAD_BYTES + FRAME_OVERHEAD;
/** One call hands out at most about this much. */
const READ_BYTES = 4 << 20;

export interface JournalRecord {
  payload: string;
  /** Where its frame begins. */
  position: Position;
}

/** Reads a journal forward from a position, in bounded pieces. Blocking reads: it lives in its own thread. */
export class JournalReader {
  readonly #directory: string;
  readonly #identity: JournalIdentity;
  /** The unread bytes #from … #to of the buffer are those of the file from #offset on. */
  readonly #buffer = Buffer.allocUnsafe(PIECE_BYTES);
  #from = 0;
  #to = 0;
  #fd: number | null = null;
  #segment: number;
  #offset: number;

  /** Offset 0 is the first record of a segment. Where the segment is gone, reading begins with the next one. */
  constructor(directory: string, identity: JournalIdentity, position: Position) {
    this.#directory = directory;
    this.#identity = identity;
    this.#segment = position.segment;
    this.#offset = position.offset;
  }

  /** Where the next record begins. */
  get position(): Position {
    return { segment: this.#segment, offset: this.#offset };
  }

  /**
   * The next records before `end`, at most `maxRecords` and about 4 MiB; none when `end` is reached.
   * @throws JournalError at a damaged record.
   */
  read(end: Position, maxRecords: number): JournalRecord[] {
    const records: JournalRecord[] = [];
    let bytes = 0;
    while (records.length < maxRecords && bytes < READ_BYTES) {
      if (this.#segment > end.segment) break;
      this.#fd ??= this.#open(end);
      const limit = this.#segment < end.segment ? fstatSync(this.#fd).size : end.offset;
      if (this.#offset >= limit) {
        if (this.#segment >= end.segment) break;
        this.#leave(this.#segment + 1);
        continue;
      }
      const payload = unframe(this.#buffer, this.#from, this.#to);
      if (payload === 'SHORT' && this.#fill(this.#fd, limit)) continue;
      if (typeof payload === 'string') throw this.#damaged();
      records.push({ payload: payload.toString(), position: this.position });
      const size = FRAME_OVERHEAD + payload.length;
      this.#from += size;
      this.#offset += size;
      bytes += size;
    }
    return records;
  }

  close(): void {
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #open(end: Position): number {
    const segment = listSegments(this.#directory).find((number) => number >= this.#segment) ?? end.segment;
    if (segment !== this.#segment) this.#leave(segment);
    const path = segmentPath(this.#directory, segment);
    const fd = openSync(path, 'r');
    try {
      this.#offset = Math.max(this.#offset, checkHeader(fd, path, this.#identity));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return fd;
  }

  #leave(next: number): void {
    this.close();
    this.#segment = next;
    this.#offset = this.#from = this.#to = 0;
  }

  /** Reads on, but nothing behind `limit`. False when there is no more. */
  #fill(fd: number, limit: number): boolean {
    this.#buffer.copyWithin(0, this.#from, this.#to);
    this.#to -= this.#from;
    this.#from = 0;
    const start = this.#offset + this.#to;
    const length = Math.min(this.#buffer.length - this.#to, limit - start);
    if (length <= 0) return false;
    const read = readSync(fd, this.#buffer, this.#to, length, start);
    this.#to += read;
    return read > 0;
  }

  #damaged(): JournalError {
    return new JournalError(
      `${segmentPath(this.#directory, this.#segment)} is damaged at offset ${this.#offset}: no whole record begins there.`,
    );
  }
}
