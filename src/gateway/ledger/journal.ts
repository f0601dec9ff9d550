import { closeSync, fdatasync, fdatasyncSync, ftruncateSync, writeSync } from 'node:fs';
import { OverloadedError } from '../../platform/errors.ts';
import { FRAME_OVERHEAD, MAX_PAYLOAD_BYTES, sealFrame } from './frames.ts';
import { createSegment, type JournalIdentity, type Position, syncDirectory } from './segments.ts';

const SEGMENT_BYTES = 64 << 20;
const BUFFER_BYTES = 256 << 10;
/** A buffer that one burst made larger than this is given back. */
const KEPT_BUFFER_BYTES = 4 << 20;
const RETRY_MS = 1000;

/** What one turn of the event loop appended; it becomes durable or fails as a whole. */
interface Group {
  promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
  /** Payloads that must not be lost when the write fails. */
  owed: string[];
}

export interface JournalOptions {
  directory: string;
  identity: JournalIdentity;
  fsync: boolean;
  /** Called after each group that became durable, with the new end. */
  onGrown: (end: Position) => void;
  /** Called when a group could not be written. */
  onError: (error: Error) => void;
}

/**
 * Appends records to the last segment: all records of one turn of the event loop with one write. With `fsync` a group
 * is also synced, off the loop, while the next one collects in memory.
 */
export class Journal {
  readonly #options: JournalOptions;
  #fd: number;
  #segment: number;
  /** Bytes of the segment that are good; what lies behind them was not confirmed to anyone. */
  #size: number;
  #hasDebris = false;
  #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #used = 0;
  #group: Group | null = null;
  /** Written, and being synced. */
  #syncing: Group | null = null;
  #owed: string[] = [];
  #retry: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** @param last the open last segment; the journal closes it. */
  constructor(options: JournalOptions, last: { fd: number; segment: number; size: number }) {
    this.#options = options;
    this.#fd = last.fd;
    this.#segment = last.segment;
    this.#size = last.size;
  }

  /** Where the durable records end. */
  get end(): Position {
    return { segment: this.#segment, offset: this.#size };
  }

  /**
   * Appends one record. The promise is shared by all of this turn and resolves when they are durable.
   * @param mustKeep the record is written later when this write fails, for as long as the journal is open.
   * @returns a promise that rejects with OverloadedError when they cannot be written.
   */
  append(payload: string, mustKeep: boolean): Promise<void> {
    if (this.#isClosed) return Promise.reject(new OverloadedError('The server is shutting down.'));
    // UTF-8 takes at most three bytes for each UTF-16 unit.
    this.#reserve(FRAME_OVERHEAD + payload.length * 3);
    const length = this.#buffer.write(payload, this.#used + FRAME_OVERHEAD);
    if (length > MAX_PAYLOAD_BYTES)
      return Promise.reject(new Error(`A journal record of ${length} bytes is too large.`));
    sealFrame(this.#buffer, this.#used, length);
    this.#used += FRAME_OVERHEAD + length;
    this.#group ??= this.#newGroup();
    if (mustKeep) this.#group.owed.push(payload);
    return this.#group.promise;
  }

  /** Resolves when everything appended so far is durable or has been refused. */
  async flush(): Promise<void> {
    for (let group = this.#syncing ?? this.#group; group; group = this.#syncing ?? this.#group)
      await group.promise.catch(() => {});
  }

  /** Writes what is left and closes the file. Later appends are refused. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#writeOwed();
    this.#isClosed = true;
    await this.flush();
    if (this.#retry) clearTimeout(this.#retry);
    closeSync(this.#fd);
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#used + bytes));
    this.#buffer.copy(larger, 0, 0, this.#used);
    this.#buffer = larger;
  }

  #newGroup(): Group {
    setImmediate(() => this.#writeGroup());
    const group: Partial<Group> = { owed: [] };
    group.promise = new Promise<void>((resolve, reject) => Object.assign(group, { resolve, reject }));
    return group as Group;
  }

  #writeGroup(): void {
    // While a sync runs the group goes on collecting; the end of the sync writes it.
    if (this.#syncing || !this.#group) return;
    const group = this.#group;
    const bytes = this.#used;
    this.#group = null;
    this.#used = 0;
    try {
      this.#clearDebris();
      if (this.#size + bytes > SEGMENT_BYTES) this.#nextSegment();
      this.#hasDebris = true;
      for (let written = 0; written < bytes; )
        written += writeSync(this.#fd, this.#buffer, written, bytes - written, this.#size + written);
    } catch (error) {
      this.#refuse(group, error as Error);
      return;
    }
    if (this.#buffer.length > KEPT_BUFFER_BYTES) this.#buffer = Buffer.allocUnsafe(BUFFER_BYTES);
    if (this.#options.fsync) this.#sync(group, bytes);
    else this.#confirm(group, bytes);
  }

  #sync(group: Group, bytes: number): void {
    this.#syncing = group;
    fdatasync(this.#fd, (error) => {
      this.#syncing = null;
      if (error) this.#refuse(group, error);
      else this.#confirm(group, bytes);
      this.#writeGroup();
    });
  }

  #confirm(group: Group, bytes: number): void {
    this.#size += bytes;
    this.#hasDebris = false;
    this.#options.onGrown(this.end);
    group.resolve();
  }

  #refuse(group: Group, cause: Error): void {
    this.#owed.push(...group.owed);
    this.#retry ??= setTimeout(() => {
      this.#retry = null;
      this.#writeOwed();
    }, RETRY_MS).unref();
    this.#options.onError(cause);
    group.reject(new OverloadedError('The server cannot record completions at the moment.'));
    try {
      this.#clearDebris();
    } catch {
      // Tried again before the next write, which fails for as long as this does.
    }
  }

  /** Cuts off what a failed write left, so that nothing refused is ever read back. */
  #clearDebris(): void {
    if (!this.#hasDebris) return;
    ftruncateSync(this.#fd, this.#size);
    this.#hasDebris = false;
  }

  #nextSegment(): void {
    const { directory, identity, fsync } = this.#options;
    if (fsync) fdatasyncSync(this.#fd);
    const next = createSegment(directory, this.#segment + 1, identity);
    if (fsync) syncDirectory(directory);
    closeSync(this.#fd);
    this.#fd = next.fd;
    this.#size = next.size;
    this.#segment += 1;
  }

  #writeOwed(): void {
    const owed = this.#owed;
    this.#owed = [];
    // A failure has been reported, and owes them again.
    for (const payload of owed) this.append(payload, true).catch(() => {});
  }
}
