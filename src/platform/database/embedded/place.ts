import { execFile } from 'node:child_process';
import { chmod, lstat, mkdir, readFile, realpath, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pathHash } from '../../socket-folder.ts';
import { EmbeddedPostgresError } from './errors.ts';

const run = promisify(execFile);

/** Another user to run Postgres as, because it refuses to run as root. */
export interface RunAs {
  uid: number;
  gid: number;
}

/** Where the embedded Postgres keeps its files, and as whom it runs. */
export interface Place {
  /** Holds the cluster (`postgres/`), and the socket (`postgres-run/`). DATA_DIR unless that cannot be reached. */
  root: string;
  /** Null: as this process. */
  runAs: RunAs | null;
}

/** Folders that everybody can reach, for the cluster of a DATA_DIR that only root can. */
const REACHABLE = ['/var/lib/signalbox', '/var/tmp/signalbox'];
/** In DATA_DIR: where else the cluster is. */
export const LOCATION_FILE = 'postgres-location';

/**
 * Decides where the cluster of `dataDir` is: where an earlier start put it, else in `dataDir`, else, where the user
 * that Postgres runs as cannot reach that, in a folder under /var that is then noted in `dataDir`.
 * @throws EmbeddedPostgresError when the cluster belongs to another user, or no folder can be reached.
 */
export async function choosePlace(dataDir: string): Promise<Place> {
  const uid = process.getuid?.();
  const noted = await readFile(join(dataDir, LOCATION_FILE), 'utf8').catch(() => null);
  const root = noted?.trim() || dataDir;
  const owner = await stat(join(root, 'postgres')).catch(() => null);
  if (uid !== 0) {
    if (owner && owner.uid !== uid)
      throw new EmbeddedPostgresError(
        `The database in ${join(root, 'postgres')} belongs to another user; start Signalbox as that user or as root, or set DATA_DIR to another folder.`,
      );
    return { root, runAs: null };
  }
  // The owner of the cluster stays who it was, also when a better user has been added to the machine since.
  const runAs = owner && owner.uid !== 0 ? { uid: owner.uid, gid: owner.gid } : await unprivilegedUser();
  if (await canAs(runAs, '-x', root)) return { root, runAs };
  if (owner)
    throw new EmbeddedPostgresError(
      `User ${runAs.uid}, who owns the database in ${join(root, 'postgres')}, can no longer reach that folder; give it back the permission (chmod o+x) on every folder above.`,
    );
  return { root: await reachableRoot(dataDir, runAs), runAs };
}

/** Whether that user passes all of the shell's `test` of `paths`, permissions of parent folders included. */
export async function canAs(runAs: RunAs | null, test: '-x' | '-r', ...paths: string[]): Promise<boolean> {
  const script = `for path; do test ${test} "$path" || exit 1; done`;
  return run('/bin/sh', ['-c', script, 'sh', ...paths], { ...runAs, cwd: '/' }).then(
    () => true,
    () => false,
  );
}

async function unprivilegedUser(): Promise<RunAs> {
  for (const name of ['postgres', 'nobody']) {
    const ids = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]).catch(() => null);
    if (ids) return { uid: Number(ids[0].stdout), gid: Number(ids[1].stdout) };
  }
  throw new EmbeddedPostgresError(
    'Postgres does not run as root, and this machine has no user postgres or nobody; start Signalbox as another user, or set DATABASE_URL.',
  );
}

async function reachableRoot(dataDir: string, runAs: RunAs): Promise<string> {
  const name = pathHash(await realpath(dataDir));
  for (const base of REACHABLE) {
    const root = join(base, name);
    try {
      await mkdir(root, { recursive: true });
      await Promise.all([chmod(base, 0o755), chmod(root, 0o711)]);
      // In /var/tmp somebody else may have been here before.
      const folders = await Promise.all([lstat(base), lstat(root)]);
      if (!folders.every((folder) => folder.isDirectory() && folder.uid === 0)) continue;
    } catch {
      continue;
    }
    if (!(await canAs(runAs, '-x', root))) continue;
    await writeFile(join(dataDir, `${LOCATION_FILE}.new`), `${root}\n`);
    await rename(join(dataDir, `${LOCATION_FILE}.new`), join(dataDir, LOCATION_FILE));
    return root;
  }
  throw new EmbeddedPostgresError(
    `Postgres does not run as root, and user ${runAs.uid} can reach neither ${dataDir} nor ${REACHABLE.join(' nor ')}; set DATA_DIR to a folder that everybody can reach, or set DATABASE_URL.`,
  );
}
