import { createHash } from 'node:crypto';
import { lchown, lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StartError } from './start-error.ts';

/** macOS ends the path of a Unix socket at 103 bytes, Linux at 107. */
const LONGEST_PATH = 100;

/** The first 12 hexadecimal digits of a path's hash: names things that stand in for it elsewhere. */
export function pathHash(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 12);
}

/**
 * A folder for Unix sockets, made for `owner` with mode 0700 where it is missing: `preferred`, or where its path is
 * too long for a socket called `socketName`, a short one in the system's folder for temporary files, always the same
 * for `preferred`.
 * @throws StartError when the short one exists and belongs to somebody else.
 */
export async function socketFolder(
  preferred: string,
  socketName: string,
  owner: { uid: number; gid: number } | null,
): Promise<string> {
  const isShort = Buffer.byteLength(join(preferred, socketName)) <= LONGEST_PATH;
  const folder = isShort ? preferred : join(shortTemporaryFolder(), `signalbox-${pathHash(preferred)}`);
  await mkdir(folder, { mode: 0o700 }).catch(ignoreExisting);
  const uid = process.getuid?.();
  if (owner && uid === 0) await lchown(folder, owner.uid, owner.gid);
  if (isShort) return folder;
  const found = await lstat(folder);
  if (found.isDirectory() && found.uid === (owner?.uid ?? uid)) return folder;
  throw new StartError(
    `${folder} belongs to somebody else; remove it, or set DATA_DIR to a folder with a shorter path.`,
  );
}

function shortTemporaryFolder(): string {
  return tmpdir().length <= 60 ? tmpdir() : '/tmp';
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
