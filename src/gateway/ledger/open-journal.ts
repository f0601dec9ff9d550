import { closeSync, ftruncateSync, openSync, readSync, statSync } from 'node:fs';
import type { Log } from '../../platform/log.ts';
import { FRAME_OVERHEAD, MAX_PAYLOAD_BYTES, unframe } from './frames.ts';
import {
  checkHeader,
  createSegment,
  headerOf,
  type JournalIdentity,
  listSegments,
  type Position,
  segmentPath,
} from './segments.ts';
import { assertTorn } from './torn-tail.ts';

/** The last segment of a journal, ready to be appended to. */
export interface LastSegment {
  fd: number;
  segment: number;
  size: number;
}

/**
 * Checks whose journal it is, and cuts the torn tail off its last segment: what a process that was killed was just
 * writing, and had confirmed to no one.
 * @param position what Postgres has of it; null: nothing. Nothing is ever appended before it.
 * @throws JournalError when a segment has no readable header, or is of another cluster or server, and when what is bad
 * in the last one is not its tail: whole records follow.
 */
export function openLastSegment(
  directory: string,
  identity: JournalIdentity,
  position: Position | null,
  log: Log,
): LastSegment {
  const segments = listSegments(directory);
  const last = segments.at(-1);
  for (const segment of segments) if (segment !== last) checkSegment(directory, segment, identity);
  reportMissing(segments, position, log);
  if (last === undefined) return newSegment(directory, (position?.segment ?? 0) + 1, identity);
  const opened = openExisting(directory, last, identity, last === position?.segment ? position.offset : 0, log);
  const isBehind =
    position && (last < position.segment || (last === position.segment && opened.size < position.offset));
  if (!isBehind) return opened;
  // The disk lost what Postgres has: go on in a new segment, where nothing counts as drained.
  closeSync(opened.fd);
  log.error(
    { ...position },
    'the journal ends before what was drained from it; records may have been lost with the disk',
  );
  return newSegment(directory, position.segment + 1, identity);
}

function newSegment(directory: string, segment: number, identity: JournalIdentity): LastSegment {
  return { segment, ...createSegment(directory, segment, identity) };
}

function checkSegment(directory: string, segment: number, identity: JournalIdentity): void {
  const path = segmentPath(directory, segment);
  const fd = openSync(path, 'r');
  try {
    checkHeader(fd, path, identity);
  } finally {
    closeSync(fd);
  }
}

/** @param drained nothing before this offset is needed any more */
function openExisting(
  directory: string,
  segment: number,
  identity: JournalIdentity,
  drained: number,
  log: Log,
): LastSegment {
  const path = segmentPath(directory, segment);
  const header = headerOf(identity);
  const fileSize = statSync(path).size;
  // Killed while it was made: the header is all there could be.
  if (fileSize < header.length) return newSegment(directory, segment, identity);
  const fd = openSync(path, 'r+');
  try {
    const start = Math.max(checkHeader(fd, path, identity), drained);
    if (start > fileSize) return { fd, segment, size: fileSize };
    const size = wholeFrames(fd, start);
    if (size < fileSize) {
      assertTorn(fd, path, size);
      log.warn({ path, offset: size, bytes: fileSize - size }, 'cut off the torn tail of the journal');
      ftruncateSync(fd, size);
    }
    return { fd, segment, size };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Where the last whole frame ends. */
function wholeFrames(fd: number, start: number): number {
  const buffer = Buffer.allocUnsafe(4 * (MAX_PAYLOAD_BYTES + FRAME_OVERHEAD));
  let end = start;
  for (;;) {
    const length = readSync(fd, buffer, 0, buffer.length, end);
    let offset = 0;
    for (;;) {
      const payload = unframe(buffer, offset, length);
      if (typeof payload === 'string') break;
      offset += FRAME_OVERHEAD + payload.length;
    }
    if (offset === 0) return end;
    end += offset;
  }
}

function reportMissing(segments: readonly number[], position: Position | null, log: Log): void {
  const first = position?.segment ?? segments[0];
  const last = segments.at(-1);
  if (first === undefined || last === undefined) return;
  const existing = new Set(segments);
  for (let segment = first; segment < last; segment += 1)
    if (!existing.has(segment))
      log.error({ segment }, 'a segment of the journal is missing; its records cannot be drained');
}
