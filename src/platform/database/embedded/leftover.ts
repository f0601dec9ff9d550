import { execFile } from 'node:child_process';
import { readdir, readFile, readlink, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Log } from '../../log.ts';

const run = promisify(execFile);

/**
 * Stops the Postgres that outlived a killed server, so that a new one can start on `cluster`. Also removes a
 * `postmaster.pid` whose number now belongs to some other process, because Postgres would not start.
 */
export async function stopLeftover(cluster: string, log: Log): Promise<void> {
  const pidFile = join(cluster, 'postmaster.pid');
  const pid = await readPid(pidFile);
  if (pid === null || !isAlive(pid)) return;
  if (await isPostmasterOf(pid, cluster)) {
    log.info({ pid }, 'stopping the Postgres that an earlier server left behind');
    await stopPostmaster(pid, cluster);
    return;
  }
  // Only when none of its processes is left: the file is what keeps two Postgres from one cluster.
  if (!(await hasProcessIn(cluster))) await rm(pidFile, { force: true });
}

/** Fast shutdown of a process that is not our child; harsher when it takes longer than 3 s. */
async function stopPostmaster(pid: number, cluster: string): Promise<void> {
  for (const [signal, patienceMs] of [['SIGINT', 3_000] as const, ['SIGQUIT', 1_000] as const]) {
    signalProcess(pid, signal);
    for (const end = performance.now() + patienceMs; performance.now() < end; await delay(20)) {
      if (!(await isPostmasterOf(pid, cluster))) return;
    }
  }
  signalProcess(pid, 'SIGKILL');
  while (await isPostmasterOf(pid, cluster)) await delay(20);
}

async function readPid(pidFile: string): Promise<number | null> {
  const text = await readFile(pidFile, 'utf8').catch(() => '');
  const pid = Number.parseInt(text, 10);
  return pid > 1 ? pid : null;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself meanwhile.
  }
}

/** A postmaster works in its cluster's folder. One that has ended and waits to be reaped has no folder any more. */
async function isPostmasterOf(pid: number, cluster: string): Promise<boolean> {
  if (process.platform === 'linux') return (await workingFolder(pid)) === (await realpath(cluster));
  const { stdout } = await run('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return stdout.includes(`-D ${cluster}`);
}

async function hasProcessIn(cluster: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  const folder = await realpath(cluster);
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const folders = await Promise.all(pids.map((pid) => workingFolder(Number(pid))));
  return folders.includes(folder);
}

async function workingFolder(pid: number): Promise<string | null> {
  return readlink(`/proc/${pid}/cwd`).catch(() => null);
}
