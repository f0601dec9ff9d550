import { Worker } from 'node:worker_threads';
import type { Log } from '../../platform/log.ts';
import type { DrainOptions, DrainProgress } from './drain.ts';
import { comparePositions, type Position } from './segments.ts';

export type WorkerInput = Pick<DrainOptions, 'directory' | 'identity' | 'connection' | 'timeZone' | 'end'>;
export type ToDrain = { type: 'GROWN'; end: Position } | { type: 'STOP' };
export type FromDrain = { type: 'PROGRESS'; progress: DrainProgress } | { type: 'ERROR'; message: string };

/** The worker is told of growth this often, which makes one batch of what was appended meanwhile. */
const TELL_MS = 50;
const RESTART_MS = 1000;
const STOP_MS = 2000;

/** Workers run JavaScript: where this module runs as TypeScript, the built file is used. */
const WORKER = import.meta.url.endsWith('.ts')
  ? new URL(import.meta.url.replace('/src/', '/dist/').replace(/drain-thread\.ts$/, 'drain-worker.js'))
  : new URL('./drain-worker.js', import.meta.url);

/** The drain's worker thread, kept alive until `stop`. */
export class DrainThread {
  readonly #input: WorkerInput;
  readonly #log: Log;
  readonly #onProgress: (progress: DrainProgress, before: DrainProgress) => void;
  #worker: Worker;
  #end: Position;
  #told: Position;
  #progress: DrainProgress;
  #lastError: string | null = null;
  #drainedAt: Date | null = null;
  #tellTimer: NodeJS.Timeout | null = null;
  #restartTimer: NodeJS.Timeout | null = null;
  #waiting: { end: Position; resolve: () => void }[] = [];
  #isStopped = false;

  constructor(
    input: WorkerInput,
    progress: DrainProgress,
    log: Log,
    onProgress: (progress: DrainProgress, before: DrainProgress) => void,
  ) {
    this.#input = input;
    this.#log = log;
    this.#onProgress = onProgress;
    this.#progress = progress;
    this.#end = this.#told = input.end;
    this.#worker = this.#start();
  }

  get progress(): DrainProgress {
    return this.#progress;
  }

  /** Why the drain does not get on; null while it does. */
  get lastError(): string | null {
    return this.#lastError;
  }

  /** When everything that the thread knew of was last committed. */
  get drainedAt(): Date | null {
    return this.#drainedAt;
  }

  /** The journal has grown. Cheap enough for every turn of the event loop. */
  extend(end: Position): void {
    this.#end = end;
    this.#tellTimer ??= setTimeout(() => this.#tell(), TELL_MS).unref();
  }

  /** Resolves when everything before `end` is committed. */
  async drainedTo(end: Position): Promise<void> {
    if (comparePositions(this.#progress.drained, end) >= 0) return;
    this.#tell();
    await new Promise<void>((resolve) => this.#waiting.push({ end, resolve }));
  }

  /** Ends the thread, after the batch it is writing or after two seconds. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#tellTimer) clearTimeout(this.#tellTimer);
    if (this.#restartTimer) clearTimeout(this.#restartTimer);
    const exited = new Promise((resolve) => this.#worker.once('exit', resolve));
    if (this.#worker.threadId === -1) return;
    this.#send({ type: 'STOP' });
    const timer = setTimeout(() => this.#worker.terminate(), STOP_MS);
    await exited;
    clearTimeout(timer);
  }

  #start(): Worker {
    const worker = new Worker(WORKER, { workerData: { ...this.#input, end: this.#end }, execArgv: [] });
    worker.on('message', (message: FromDrain) => {
      if (message.type === 'PROGRESS') this.#advance(message.progress);
      else this.#fail(message.message);
    });
    worker.on('error', (error) => this.#fail(`The drain's thread failed: ${error.message}`));
    worker.on('exit', () => {
      if (this.#isStopped) return;
      this.#log.error('the thread of the drain ended; starting another');
      this.#restartTimer = setTimeout(() => {
        this.#worker = this.#start();
      }, RESTART_MS);
    });
    return worker;
  }

  #tell(): void {
    if (this.#tellTimer) clearTimeout(this.#tellTimer);
    this.#tellTimer = null;
    if (comparePositions(this.#told, this.#end) === 0) return;
    this.#told = this.#end;
    this.#send({ type: 'GROWN', end: this.#end });
  }

  #send(message: ToDrain): void {
    this.#worker.postMessage(message);
  }

  #advance(progress: DrainProgress): void {
    const before = this.#progress;
    if (this.#lastError) this.#log.info('the drain gets on again');
    this.#lastError = null;
    // A drain that began again reports what was reported before.
    if (comparePositions(progress.drained, before.drained) < 0) progress = { ...progress, drained: before.drained };
    this.#progress = progress;
    if (comparePositions(progress.drained, this.#told) >= 0) this.#drainedAt = new Date();
    this.#waiting = this.#waiting.filter(({ end, resolve }) => {
      if (comparePositions(progress.drained, end) < 0) return true;
      resolve();
      return false;
    });
    this.#onProgress(progress, before);
  }

  #fail(message: string): void {
    if (message !== this.#lastError) this.#log.warn({ reason: message }, 'the drain cannot write; it tries again');
    this.#lastError = message;
  }
}
