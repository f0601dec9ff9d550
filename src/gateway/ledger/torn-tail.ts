import { readSync } from 'node:fs';
import { FRAME_OVERHEAD, MAX_PAYLOAD_BYTES, unframe } from './frames.ts';
import { JournalError } from './segments.ts';

/** Files come in blocks, of this size or a multiple of it. */
const BLOCK_BYTES = 512;
const WINDOW_BYTES = 4 * (MAX_PAYLOAD_BYTES + FRAME_OVERHEAD);

/**
 * Makes sure that bytes which are no whole frame are the end of what was being written, and not damage to what had been
 * confirmed. A process that is killed leaves the beginning of its last write, so that no whole frame follows; after a
 * power cut one may, behind blocks of zeros that never reached the disk. No record has a zero byte in it, so that
 * neither is ever found inside of one.
 * @param offset where the first of these bytes is
 * @throws JournalError when it is damage
 */
export function assertTorn(fd: number, path: string, offset: number): void {
  const next = nextFrame(fd, offset);
  if (next === null || hasLostBlock(fd, offset, next)) return;
  throw new JournalError(
    `${path} is damaged at offset ${offset}: no whole record begins there, but at ${next} one does. Restore the file from ` +
      `a copy; or, to go on without the records from there on, cut them off: truncate -s ${offset} ${path}`,
  );
}

/** Where the next whole frame behind `offset` begins; null: nowhere. */
function nextFrame(fd: number, offset: number): number | null {
  const buffer = Buffer.allocUnsafe(WINDOW_BYTES);
  for (let start = offset + 1; ; ) {
    const length = readSync(fd, buffer, 0, buffer.length, start);
    // A frame that begins in the first half of a full window is whole in it, if it is whole.
    const searched = length < buffer.length ? length : buffer.length / 2;
    for (let at = 0; at < searched; at += 1) if (typeof unframe(buffer, at, length) !== 'string') return start + at;
    if (length < buffer.length) return null;
    start += searched;
  }
}

function hasLostBlock(fd: number, from: number, to: number): boolean {
  const bytes = Buffer.allocUnsafe(to - from);
  return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, from)).includes(Buffer.alloc(BLOCK_BYTES));
}
