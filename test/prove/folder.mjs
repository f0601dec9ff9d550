// A folder for a server's data, and what is left running in it.
import { chmod, mkdtemp, readdir, readFile, readlink, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Makes one. `remove` ends what still works on it, and deletes it; so does Ctrl-C. */
export async function dataFolder() {
  const path = await realpath(await mkdtemp(join(tmpdir(), 'signalbox-proof-')));
  // Postgres runs as another user where this one is root.
  await chmod(path, 0o711);
  const remove = async () => {
    for (let pids = await postgresIn(path); pids.length > 0; pids = await postgresIn(path)) {
      for (const pid of pids) kill(pid);
      await delay(20);
    }
    await rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  };
  for (const signal of ['SIGINT', 'SIGTERM'])
    process.once(signal, async () => {
      await remove();
      process.exit(1);
    });
  return { path, remove };
}

/** Process ids of Postgres: its own by its file, and on Linux those of its children too. */
export async function postgresIn(path) {
  const text = await readFile(join(path, 'postgres/postmaster.pid'), 'utf8').catch(() => '');
  const postmaster = Number.parseInt(text, 10);
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  const folders = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
  const children = pids.filter((_, index) => folders[index].startsWith(`${path}/`)).map(Number);
  if (children.length > 0 || Number.isNaN(postmaster)) return children;
  return isAlive(postmaster) ? [postmaster] : [];
}

export function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
