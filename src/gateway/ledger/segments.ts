import { closeSync, fsyncSync, openSync, readdirSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { StartError } from '../../platform/start-error.ts';
import { frame, unframe } from './frames.ts';

/** A place in the journal: a segment's number and a byte offset in its file. */
export interface Position {
  segment: number;
  offset: number;
}

/** Whose journal it is. It drains into no other database and under no other server's name. */
export interface JournalIdentity {
  clusterId: string;
  serverId: string;
}

/** The journal cannot be used as it is. The message names the file and what is wrong with it. */
export class JournalError extends StartError {}

const FORMAT = 1;
const NAME = /^(\d{10})\.journal$/;

export function segmentPath(directory: string, segment: number): string {
  return join(directory, `${String(segment).padStart(10, '0')}.journal`);
}

/** The numbers of the segments that exist, ascending. */
export function listSegments(directory: string): number[] {
  return readdirSync(directory)
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** Negative when `a` comes before `b`. */
export function comparePositions(a: Position, b: Position): number {
  return a.segment - b.segment || a.offset - b.offset;
}

export function segmentSize(directory: string, segment: number): number {
  return statSync(segmentPath(directory, segment)).size;
}

export function headerOf({ clusterId, serverId }: JournalIdentity): Buffer {
  return frame(JSON.stringify({ journal: FORMAT, clusterId, serverId }));
}

/**
 * Makes a segment's file with its header.
 * @returns its open descriptor and its size.
 */
export function createSegment(
  directory: string,
  segment: number,
  identity: JournalIdentity,
): { fd: number; size: number } {
  const path = segmentPath(directory, segment);
  const header = headerOf(identity);
  const fd = openSync(path, 'w', 0o600);
  try {
    for (let written = 0; written < header.length; ) written += writeSync(fd, header, written);
  } catch (error) {
    closeSync(fd);
    rmSync(path, { force: true });
    throw error;
  }
  return { fd, size: header.length };
}

/**
 * Reads the header of an open segment.
 * @returns its size in bytes.
 * @throws JournalError when it is damaged, of a newer format, or of another cluster or server.
 */
export function checkHeader(fd: number, path: string, identity: JournalIdentity): number {
  const name = basename(path);
  const bytes = Buffer.alloc(1024);
  const payload = unframe(bytes, 0, readSync(fd, bytes, 0, bytes.length, 0));
  if (typeof payload === 'string') throw new JournalError(`The journal segment ${path} has no readable header.`);
  const header = JSON.parse(payload.toString()) as { journal?: unknown } & Partial<JournalIdentity>;
  if (header.journal !== FORMAT)
    throw new JournalError(`${path} has journal format ${header.journal}; this server reads format ${FORMAT}.`);
  if (header.clusterId !== identity.clusterId)
    throw new JournalError(
      `${path} belongs to the database with cluster id ${header.clusterId}, but this one is ${identity.clusterId}. ` +
        `Connect to that database, or move ${name} and its neighbours away.`,
    );
  if (header.serverId !== identity.serverId)
    throw new JournalError(`${path} belongs to the server ${header.serverId}, but this one is ${identity.serverId}.`);
  return payload.byteOffset - bytes.byteOffset + payload.length;
}

/** Removes the segments that lie fully before a position. */
export function deleteSegmentsBefore(directory: string, position: Position): void {
  for (const segment of listSegments(directory))
    if (segment < position.segment) rmSync(segmentPath(directory, segment), { force: true });
}

/** Makes the names in a folder durable. */
export function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
