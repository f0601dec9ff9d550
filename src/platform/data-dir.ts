import { chmod, mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClaimedJournal, claimJournal } from './data-dir/journals.ts';
import { addMasterKey, readOrMakeSecrets, type Secrets } from './data-dir/secrets.ts';
import { LockHeldError, type SocketLock, takeSocketLock } from './data-dir/socket-lock.ts';
import { StartError } from './start-error.ts';

export type { ClaimedJournal } from './data-dir/journals.ts';
export type { Secrets } from './data-dir/secrets.ts';

const SECRETS_FILE = 'secrets.json';

/** DATA_DIR, opened. */
export interface DataDir {
  /** Absolute, without symbolic links. */
  path: string;
  /** Reads secrets.json, or makes it. */
  secrets(): Promise<Secrets>;
  /** Claims a journal for this server. Each call claims another one. */
  claimJournal(): Promise<ClaimedJournal>;
  /** Lets another server have it. */
  close(): Promise<void>;
}

/** Another Signalbox runs in this DATA_DIR. */
export class DataDirInUseError extends StartError {}

/**
 * Makes the folder where it is missing, and locks it for this process.
 * @param options.isShared with an external database: nothing but the journals is in it, which have locks of their own,
 *   so it is not locked and several servers may use it
 * @throws DataDirInUseError
 * @throws StartError when the folder cannot be made or written
 */
export async function openDataDir(folder: string, options: { isShared: boolean }): Promise<DataDir> {
  const path = await makeFolder(folder);
  const lock = options.isShared ? null : await lockFolder(path);
  return {
    path,
    secrets: () => readSecrets(path),
    claimJournal: () => claimJournal(join(path, 'journal')),
    close: async () => lock?.release(),
  };
}

/** The secrets in DATA_DIR, also while a server runs there. */
export function readSecrets(folder: string): Promise<Secrets> {
  return readOrMakeSecrets(join(folder, SECRETS_FILE));
}

/** Adds a master key to those in DATA_DIR, also while a server runs there. Returns all. */
export function addMasterKeyIn(folder: string): Promise<Map<number, Buffer>> {
  return addMasterKey(join(folder, SECRETS_FILE));
}

async function makeFolder(folder: string): Promise<string> {
  try {
    const made = await mkdir(folder, { recursive: true });
    // Passable for the user that Postgres runs as, when this one is root. A folder that was there stays as it is.
    if (made !== undefined) await chmod(folder, 0o711);
    return await realpath(folder);
  } catch (error) {
    throw cannotUse(folder, error);
  }
}

async function lockFolder(path: string): Promise<SocketLock> {
  try {
    return await takeSocketLock(join(path, 'lock'));
  } catch (error) {
    if (!(error instanceof LockHeldError)) throw cannotUse(path, error);
    const process = error.pid === null ? '' : ` (process ${error.pid})`;
    throw new DataDirInUseError(
      `${path} is in use: another Signalbox${process} runs there. Stop that one, or set DATA_DIR to another folder.`,
    );
  }
}

function cannotUse(folder: string, error: unknown): StartError {
  if (error instanceof StartError) return error;
  return new StartError(
    `The folder ${folder} cannot be used (${(error as Error).message}); set DATA_DIR to a folder that this user can write.`,
  );
}
