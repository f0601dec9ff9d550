import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, readlink, realpath, rm } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../kit/folder.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** A loaded machine is slow; a server that hangs is ended by this. */
const PATIENCE_MS = 60_000;

/** The admin API key of every server here that is not told otherwise. */
export const API_KEY = `sbx_${'p'.repeat(40)}`;

/** How a process ended. */
export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  /** From its start. */
  tookMs: number;
}

/** The server in a process of its own, as `npm start` runs it. */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #startedAt = performance.now();
  /** Resolves when it has ended and all that it wrote has been read. */
  readonly exited: Promise<Exit>;
  stdout = '';
  stderr = '';

  constructor(dataDir: string, env: Record<string, string> = {}) {
    this.#child = spawn(process.execPath, ['src/cli/start.mjs'], {
      cwd: ROOT,
      env: { ...machineEnvironment(), PORT: '0', DATA_DIR: dataDir, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text) => {
      this.stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.stderr += text;
    });
    this.exited = once(this.#child, 'close').then(([code, signal]) => ({
      ...{ code, signal, stdout: this.stdout, stderr: this.stderr },
      tookMs: performance.now() - this.#startedAt,
    }));
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The address it printed; resolves once it has printed everything. Rejects when it ends before. */
  async ready(): Promise<string> {
    await this.until(() => /^ {2}curl .*\n/m.test(this.stdout));
    return /^ {2}Health +(.*)\/health$/m.exec(this.stdout)?.[1] ?? '';
  }

  /** Waits for a condition for as long as it runs. */
  async until(condition: () => boolean | Promise<boolean>): Promise<void> {
    for (const end = performance.now() + PATIENCE_MS; !(await condition()); await delay(5)) {
      if (this.isRunning && performance.now() < end) continue;
      throw new Error(`The server ${this.isRunning ? 'did not get there' : 'ended'}:\n${this.stdout}${this.stderr}`);
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<Exit> {
    this.signal(signal);
    return this.exited;
  }
}

/** A folder for a server's data. When it goes, so do all processes that still work on it. */
export class DataFolder implements AsyncDisposable {
  readonly path: string;
  readonly #folder: AsyncDisposable;
  readonly #servers: ServerProcess[] = [];

  private constructor(folder: AsyncDisposable & { path: string }) {
    this.path = folder.path;
    this.#folder = folder;
  }

  static async make(): Promise<DataFolder> {
    return new DataFolder(await temporaryFolder());
  }

  /** Starts a server on it with the API key of this module. */
  start(env: Record<string, string> = {}): ServerProcess {
    const server = new ServerProcess(this.path, { BOOTSTRAP_API_KEY: API_KEY, ADMIN_PASSWORD: 'of the tests', ...env });
    this.#servers.push(server);
    return server;
  }

  /** The embedded Postgres's process id; null when there is no file that says it. */
  async postmasterPid(): Promise<number | null> {
    const text = await readFile(join(this.path, 'postgres/postmaster.pid'), 'utf8').catch(() => '');
    return Number.parseInt(text, 10) || null;
  }

  /** Process ids of Postgres and what it started: they work in the cluster's folder. Linux only. */
  async postgresPids(): Promise<number[]> {
    const folder = await realpath(this.path);
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const folders = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/cwd`).catch(() => '')));
    return pids.filter((_, index) => folders[index]?.startsWith(`${folder}/`)).map(Number);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#servers.filter((server) => server.isRunning).map((server) => server.end('SIGKILL')));
    for (let pids = await this.postgresPids(); pids.length > 0; pids = await this.postgresPids()) {
      for (const pid of pids) kill(pid, 'SIGKILL');
      await delay(20);
    }
    await rm(this.path, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    await this.#folder[Symbol.asyncDispose]();
  }
}

/** Sends a signal; a process that is gone already needs none. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Milliseconds that stand for so many seconds on a machine with nothing else to do; more where others want the cores. */
export function seconds(count: number): number {
  const [running = 0] = loadavg();
  return count * 1_000 * Math.max(1, running / availableParallelism());
}

/** Nothing of ours: no settings, and nothing that a test runner sets. */
function machineEnvironment(): Record<string, string> {
  const { PATH = '', HOME = '', TMPDIR = '' } = process.env;
  return { PATH, HOME, ...(TMPDIR ? { TMPDIR } : {}) };
}
