import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LockHeldError, takeSocketLock } from './socket-lock.ts';

/** A server's own journal: no other process has it until it is released. */
export interface ClaimedJournal {
  /** Absolute path of journal/<server-id>. */
  directory: string;
  /** Stays the same for as long as the folder is there. */
  serverId: string;
  release(): Promise<void>;
}

/**
 * Claims the first journal in `folder` that no living server has, or makes one. So a server that starts again goes on
 * with its journal, and two servers that share the folder get one each.
 */
export async function claimJournal(folder: string): Promise<ClaimedJournal> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const entries = await readdir(folder, { withFileTypes: true });
  const serverIds = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  for (const serverId of serverIds.sort()) {
    const claimed = await claim(join(folder, serverId), serverId);
    if (claimed) return claimed;
  }
  for (;;) {
    const serverId = randomBytes(6).toString('hex');
    await mkdir(join(folder, serverId), { mode: 0o700 });
    const claimed = await claim(join(folder, serverId), serverId);
    if (claimed) return claimed;
  }
}

async function claim(directory: string, serverId: string): Promise<ClaimedJournal | null> {
  try {
    const { release } = await takeSocketLock(join(directory, 'lock'));
    return { directory, serverId, release };
  } catch (error) {
    if (error instanceof LockHeldError) return null;
    throw error;
  }
}
