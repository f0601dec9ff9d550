import { loadSnapshot, readConfigurationVersion, type SnapshotSource } from './load.ts';
import type { Snapshot } from './snapshot.ts';

/** The channel on which a change of the configuration tells its version. */
export const CONFIGURATION_CHANNEL = 'signalbox_configuration';

/** How often the version is read in case a notification was lost. */
const POLL_MS = 1_000;

/**
 * Holds the newest snapshot and swaps it whole, only forward. Without Postgres it keeps the one it has.
 */
export class SnapshotKeeper {
  #current: Snapshot;
  readonly #source: SnapshotSource;
  readonly #timer: NodeJS.Timeout;
  #loading: Promise<void> | null = null;
  #isStale = false;

  private constructor(source: SnapshotSource, first: Snapshot) {
    this.#source = source;
    this.#current = first;
    this.#timer = setInterval(() => void this.#poll(), POLL_MS);
    this.#timer.unref();
  }

  static async open(source: SnapshotSource): Promise<SnapshotKeeper> {
    return new SnapshotKeeper(source, await loadSnapshot(source));
  }

  get current(): Snapshot {
    return this.#current;
  }

  /**
   * Resolves once this server serves `version` or a newer one. Mutations await it, so that whoever changed something
   * sees the change in the next request.
   * @throws when Postgres cannot be read.
   */
  async atLeast(version: bigint): Promise<Snapshot> {
    while (this.#current.version < version) await this.refresh();
    return this.#current;
  }

  /** Reads the configuration again; calls made meanwhile share one more reading, which starts after them. */
  async refresh(): Promise<void> {
    if (this.#loading) {
      this.#isStale = true;
      return this.#loading;
    }
    this.#loading = this.#load();
    return this.#loading;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #load(): Promise<void> {
    try {
      do {
        this.#isStale = false;
        const next = await loadSnapshot(this.#source);
        if (next.version > this.#current.version) this.#current = next;
      } while (this.#isStale);
    } finally {
      // In the same turn as the last look at `isStale`: who calls after that starts a reading of their own.
      this.#loading = null;
    }
  }

  async #poll(): Promise<void> {
    try {
      if ((await readConfigurationVersion(this.#source.pool)) > this.#current.version) await this.refresh();
    } catch (error) {
      this.#source.log.warn({ err: error }, 'the configuration could not be read; going on with the one in memory');
    }
  }
}
