import { execFile } from 'node:child_process';
import { chown, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { EmbeddedPostgresError } from './errors.ts';
import type { Place } from './place.ts';

const run = promisify(execFile);

/** The superuser and the database that the cluster is made with. */
export const CLUSTER_NAME = 'signalbox';

/** What Postgres and its tools get of the environment: nothing of ours, which may hold secrets or PG variables. */
export const CLUSTER_ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/**
 * Makes the cluster in `place`, if there is none, and returns its folder. It is made beside its place and then
 * renamed, so that a start that is killed leaves either no cluster or a whole one.
 * @param signal ends it early
 */
export async function openCluster(place: Place, binaries: string, signal: AbortSignal): Promise<string> {
  const folder = join(place.root, 'postgres');
  await removeUnfinished(folder);
  if (await stat(join(folder, 'PG_VERSION')).catch(() => null)) return folder;

  const unfinished = await mkdtemp(`${folder}.unfinished-`);
  if (place.runAs) await chown(unfinished, place.runAs.uid, place.runAs.gid);
  const options = [
    ...['--auth=trust', '--encoding=UTF8', `--username=${CLUSTER_NAME}`, '--no-instructions'],
    // Sorted by code point on every machine alike, with upper and lower case beyond ASCII.
    ...['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
  ];
  const initdb = run(join(binaries, 'bin/initdb'), ['-D', unfinished, ...options], {
    ...place.runAs,
    cwd: '/',
    env: CLUSTER_ENVIRONMENT,
  });
  // Not execFile's own signal option, which does not wait for the end.
  const interrupt = () => initdb.child.kill('SIGINT');
  signal.addEventListener('abort', interrupt);
  try {
    await initdb;
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    signal.throwIfAborted();
    const output = (error as { stderr?: string }).stderr?.trim() || (error as Error).message;
    throw new EmbeddedPostgresError(
      `The embedded Postgres cannot make its database in ${folder} (${output.split('\n').at(-1)}); set DATA_DIR to another folder, or set DATABASE_URL.`,
    );
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
  await rename(unfinished, folder);
  return folder;
}

async function removeUnfinished(folder: string): Promise<void> {
  for (const name of await readdir(dirname(folder))) {
    if (name.startsWith(`${basename(folder)}.unfinished-`))
      await rm(join(dirname(folder), name), { recursive: true, force: true });
  }
}
