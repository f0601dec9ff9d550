import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { link, lstat, rename, rm } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { socketFolder } from '../socket-folder.ts';

/** The lock is held by another process, or by this one. */
export class LockHeldError extends Error {
  /** Process id of the holder; null when it did not say. */
  readonly pid: number | null;

  constructor(path: string, pid: number | null) {
    super(`${path} is locked${pid === null ? '' : ` by process ${pid}`}.`);
    this.pid = pid;
  }
}

export interface SocketLock {
  release(): Promise<void>;
}

/** How long a second look at the lock waits: longer than another process takes between finding it dead and removing it. */
const SECOND_LOOK_MS = 50;

/**
 * Takes the lock `path`: a Unix socket that listens for as long as this process lives, so that no lock outlives its
 * holder. The folder of `path` must exist.
 * @throws LockHeldError when a living process has it.
 */
export async function takeSocketLock(path: string): Promise<SocketLock> {
  const ownName = `${basename(path)}.${randomBytes(4).toString('hex')}`;
  const folder = await socketFolder(dirname(path), ownName, null);
  const lockPath = join(folder, basename(path));
  const server = await listenAt(join(folder, ownName));
  const inode = await inodeOf(join(folder, ownName));
  try {
    // A hard link is made whole or not at all, and refuses an existing name; listen() removes nothing by itself.
    await linkWhenFree(join(folder, ownName), lockPath, inode);
  } catch (error) {
    server.close();
    throw error;
  }
  await rm(join(folder, ownName), { force: true });
  return {
    async release() {
      if ((await inodeOf(lockPath)) === inode) await rm(lockPath, { force: true });
      server.close();
    },
  };
}

async function listenAt(path: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(String(process.pid));
  });
  server.listen(path);
  await once(server, 'listening');
  server.unref();
  return server;
}

async function linkWhenFree(own: string, lockPath: string, inode: bigint | null): Promise<void> {
  for (;;) {
    const found = await inodeOf(lockPath);
    if (found === null) {
      const isLinked = await link(own, lockPath).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'EEXIST') return false;
          throw error;
        },
      );
      if (!isLinked) continue;
      await delay(SECOND_LOOK_MS);
      if ((await inodeOf(lockPath)) === inode) return;
      continue;
    }
    const holder = await askHolder(lockPath);
    if (holder !== 'DEAD') throw new LockHeldError(lockPath, holder);
    await removeDead(lockPath, found);
  }
}

/** Two processes may find the same dead lock: whoever moves away a living one instead puts it back. */
async function removeDead(lockPath: string, deadInode: bigint): Promise<void> {
  const aside = `${lockPath}.${randomBytes(4).toString('hex')}`;
  const isMoved = await rename(lockPath, aside).then(
    () => true,
    () => false,
  );
  if (!isMoved) return;
  if ((await inodeOf(aside)) !== deadInode) await link(aside, lockPath).catch(() => undefined);
  await rm(aside, { force: true });
}

async function inodeOf(path: string): Promise<bigint | null> {
  const found = await lstat(path, { bigint: true }).catch(() => null);
  return found?.ino ?? null;
}

/** The holder's process id, null if it does not tell, or DEAD. */
async function askHolder(path: string): Promise<number | null | 'DEAD'> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(path);
    socket.setEncoding('utf8').setTimeout(1_000, () => socket.destroy());
    socket.on('data', (text) => {
      answer += text;
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve('DEAD');
    });
    socket.on('close', () => resolve(Number(answer) || null));
  });
}
