import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, renameSync, statSync } from 'node:fs';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from '../../log.ts';
import { CLUSTER_ENVIRONMENT } from './cluster.ts';
import type { RunAs } from './place.ts';

/** What one embedded Postgres runs with. All paths are absolute. */
export interface PostmasterOptions {
  binaries: string;
  cluster: string;
  socketFolder: string;
  logFile: string;
  runAs: RunAs | null;
  log: Log;
}

/** A Postgres that is started again when it dies. */
export interface Postmaster {
  /** Process id; null while it is down. */
  readonly pid: number | null;
  /** Shuts down fast, then harder; takes at most about 4 s. */
  stop(): Promise<void>;
}

const LOG_LIMIT_BYTES = 1_000_000;
const SETTINGS = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: '100',
  shared_buffers: '128MB',
  fsync: 'on',
  synchronous_commit: 'on',
  // What clients send may be private: errors go to the client only, and statements and values never to the log.
  log_min_messages: 'log',
  log_min_error_statement: 'panic',
  log_parameter_max_length_on_error: '0',
  log_error_verbosity: 'terse',
  log_statement: 'none',
  log_checkpoints: 'off',
  log_timezone: 'UTC',
  timezone: 'UTC',
};

/** Starts Postgres in a process group of its own, so that Ctrl-C reaches only this process, which then stops it. */
export function startPostmaster(options: PostmasterOptions): Postmaster {
  const { log } = options;
  let child = launch(options);
  let isStopping = false;
  let backoffMs = 100;
  let restart: NodeJS.Timeout | undefined;

  const watch = () => {
    const startedAt = performance.now();
    child.once('error', (error) => log.error({ err: error.message }, 'Postgres could not be started'));
    child.once('exit', (code, signal) => {
      if (isStopping) return;
      if (performance.now() - startedAt > 30_000) backoffMs = 100;
      log.error({ code, signal, restartInMs: backoffMs }, 'Postgres ended unexpectedly; starting it again');
      restart = setTimeout(() => {
        child = launch(options);
        watch();
      }, backoffMs);
      backoffMs = Math.min(backoffMs * 2, 5_000);
    });
  };
  // For a process that ends without a shutdown, so that it leaves no Postgres behind.
  const stopAtExit = () => child.kill('SIGINT');
  process.once('exit', stopAtExit);
  watch();

  return {
    get pid() {
      return isRunning(child) ? (child.pid ?? null) : null;
    },
    async stop() {
      isStopping = true;
      clearTimeout(restart);
      await shutDown(child);
      process.off('exit', stopAtExit);
    },
  };
}

/** A nice value: somewhat behind the server itself, far from starving. */
const GIVES_WAY = 5;

function launch(options: PostmasterOptions): ChildProcess {
  const settings = { ...SETTINGS, unix_socket_directories: `"${options.socketFolder}"` };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const logFile = openLog(options.logFile);
  try {
    const child = spawn(join(options.binaries, 'bin/postgres'), ['-D', options.cluster, ...args], {
      ...options.runAs,
      cwd: '/',
      env: CLUSTER_ENVIRONMENT,
      detached: true,
      stdio: ['ignore', logFile, logFile],
    });
    child.unref();
    // On a machine that serves and stores, storing gives way; the journal holds what waits. Its processes inherit this.
    if (child.pid !== undefined) setPriority(child.pid, GIVES_WAY);
    return child;
  } finally {
    closeSync(logFile);
  }
}

/** Opened by this process: the user that Postgres runs as may not be able to. Keeps one older file. */
function openLog(path: string): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_LIMIT_BYTES) renameSync(path, `${path}.1`);
  return openSync(path, 'a', 0o600);
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

async function shutDown(child: ChildProcess): Promise<void> {
  const steps = [['SIGINT', 2_500] as const, ['SIGQUIT', 1_000] as const, ['SIGKILL', 500] as const];
  for (const [signal, patienceMs] of steps) {
    if (!isRunning(child)) return;
    const patience = new AbortController();
    const exited = once(child, 'exit', { signal: patience.signal }).catch(() => undefined);
    child.kill(signal);
    await Promise.race([exited, delay(patienceMs, undefined, { signal: patience.signal }).catch(() => undefined)]);
    patience.abort();
  }
}
