import { createHash } from 'node:crypto';
import { chown, lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** macOS ends the path of a Unix socket at 103 bytes, Linux at 107. */
const LONGEST_PATH = 100;

/** The first 12 hexadecimal digits of a path's hash: names things that stand in for it elsewhere. */
export function pathHash(path: string): string {
  return createHash('sha256').update(path).digest('hex').slice(0, 12);
}

/**
 * A folder for Unix sockets, made with mode 0700 for `owner`: `preferred`, or where its path is too long for a
 * socket called `socketName`, a short one in the system's folder for temporary files, always the same for `preferred`.
 * @throws Error when the short one exists and belongs to somebody else.
 */
export async function socketFolder(
  preferred: string,
  socketName: string,
  owner: { uid: number; gid: number } | null,
): Promise<string> {
  const fits = Buffer.byteLength(join(preferred, socketName)) <= LONGEST_PATH;
  const folder = fits ? preferred : join(shortTemporaryFolder(), `signalbox-${pathHash(preferred)}`);
  await mkdir(folder, { mode: 0o700, recursive: fits }).catch(ignoreExisting);
  if (owner && process.getuid?.() === 0) await chown(folder, owner.uid, owner.gid);
  const found = await lstat(folder);
  const uid = owner?.uid ?? process.getuid?.() ?? found.uid;
  if (!found.isDirectory() || found.uid !== uid)
    throw new Error(`${folder} belongs to somebody else; remove it, or set DATA_DIR to a folder with a shorter path.`);
  return folder;
}

function shortTemporaryFolder(): string {
  return tmpdir().length <= 60 ? tmpdir() : '/tmp';
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
