import type { Caller } from '../../gateway/admission/caller.ts';
import type { CompletionReport } from '../../gateway/completion.ts';
import { isCallable } from '../../gateway/routing/exact-target.ts';
import type { ProviderEntry } from '../../gateway/snapshot/snapshot.ts';
import type { ProviderStatus } from '../../generated/prisma/client.ts';
import { SignalboxError, shorten } from '../../platform/errors.ts';
import { uuidv7 } from '../../platform/ids.ts';
import type { Services } from '../schema/context.ts';
import { BackgroundTests } from './background-tests.ts';
import { verdictOf } from './health-status.ts';
import { type HealthEvent, type HealthSource, type Observation, writeHealth } from './health-store.ts';
import { Probes } from './probes.ts';
import { defaultModel, type TestOutcome, type TestRequest, testCompletion } from './test-completion.ts';
import { TrafficWindow } from './traffic-window.ts';
import { withoutKeys } from './without-keys.ts';

/** Traffic changes the status of a provider at most this often, so that one at the edge costs no stream of writes. */
const REST_MS = 2_000;
const LONGEST_DETAIL = 500;

type Parts = Pick<Services, 'settings' | 'log' | 'prisma' | 'snapshots' | 'gateway' | 'feed' | 'rateLimiter'>;

/** What this server makes of a provider. */
interface Watched {
  window: TrafficWindow;
  /** What it concluded last; null: nothing yet. */
  status: ProviderStatus | null;
  changedAt: number;
  /** Runs while a change has to wait for its turn. */
  timer: NodeJS.Timeout | null;
}

/**
 * Keeps the health of the providers: by tests, by probes, and by what this server's own traffic shows. Costs no query for a
 * request; only changes are written. Where servers disagree, the last change stands.
 */
export class HealthMonitor {
  readonly #parts: Parts;
  readonly #watched = new Map<string, Watched>();
  /** Completions that are tests: what they show is known from their outcome. */
  readonly #tests = new Set<string>();
  readonly #background: BackgroundTests;
  readonly #probes: Probes;
  readonly #writes = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#background = new BackgroundTests((id, caller) => this.#testInBackground(id, caller));
    this.#probes = new Probes(
      parts,
      (id, since) => this.#watched.get(id)?.window.hasSince(since) ?? false,
      (id, observation) => this.#keepProbe(id, observation),
    );
    parts.gateway.onFinished((report) => this.#observe(report));
    void this.#follow().catch((error) => parts.log.warn({ err: error }, 'tests of other servers are not followed'));
  }

  /**
   * Tests a provider now, and keeps what came of it as its health; one key's is not the provider's.
   * @throws SignalboxError when it is not the provider that failed: the gateway is full or stopping, the caller has left.
   */
  async test(
    caller: Caller,
    provider: ProviderEntry,
    request: TestRequest,
    signal: AbortSignal = this.#closing.signal,
  ): Promise<TestOutcome> {
    const requestId = uuidv7();
    this.#tests.add(requestId);
    try {
      const outcome = await testCompletion(this.#parts, { requestId, caller, signal }, provider, request);
      if (request.keyId !== undefined) return outcome;
      this.#startAfresh(provider.id, outcome.status);
      await this.#write(provider.id, 'TEST', outcome);
      return outcome;
    } finally {
      this.#tests.delete(requestId);
    }
  }

  /**
   * Tests a provider some time after this returns, if it has all that it needs for that. Counts as one of the tests that
   * an admin has in a minute; beyond them nothing is tested.
   */
  testSoon(caller: Caller, providerId: string): void {
    const { settings, snapshots, rateLimiter } = this.#parts;
    if (!settings.providerTests || this.#closing.signal.aborted || caller.kind === 'ANONYMOUS') return;
    const provider = snapshots.current.providersById.get(providerId);
    if (!provider || !isCallable(provider) || defaultModel(provider) === null) return;
    if (rateLimiter.takeProviderTest(caller.account.id).allowed) this.#background.add(providerId, caller);
  }

  /** Ends the tests that run in the background, and resolves when nothing more will be written. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const { timer } of this.#watched.values()) if (timer) clearTimeout(timer);
    await this.#background.close();
    await this.#probes.close();
    await Promise.all(this.#writes);
  }

  async #testInBackground(providerId: string, caller: Caller): Promise<void> {
    const { snapshots, log } = this.#parts;
    const provider = snapshots.current.providersById.get(providerId);
    const model = provider ? defaultModel(provider) : null;
    if (!provider || model === null) return;
    try {
      await this.test(caller, provider, { model, message: null });
    } catch (error) {
      // Expected: the gateway is stopping, or the provider lost its key meanwhile.
      if (!(error instanceof SignalboxError)) log.error({ err: error, providerId }, 'a provider could not be tested');
    }
  }

  async #keepProbe(providerId: string, observation: Observation): Promise<void> {
    this.#startAfresh(providerId, observation.status);
    await this.#write(providerId, 'PROBE', observation);
  }

  /** Called for each completion: must be quick, and must not throw. */
  #observe(report: CompletionReport): void {
    if (this.#tests.has(report.requestId)) return;
    const counted = new Set<string>();
    for (const attempt of report.attempts) {
      // A user's own key and what becomes of it is their affair.
      if (attempt.usedOwnKey) continue;
      const verdict = verdictOf(attempt);
      if (verdict === null || verdict === 'REFUSED') continue;
      const provider = this.#parts.snapshots.current.providersBySlug.get(attempt.provider);
      // One request that a provider cannot answer is one failure, however often it is tried.
      const name = `${verdict} ${attempt.provider}`;
      if (!provider || counted.has(name)) continue;
      counted.add(name);
      const watched = this.#watch(provider.id);
      watched.window.add(attempt, verdict);
      this.#judge(provider.id, watched);
    }
  }

  #judge(providerId: string, watched: Watched): void {
    if (watched.timer || this.#closing.signal.aborted) return;
    const now = Date.now();
    const observation = watched.window.observe(now);
    if (!observation || observation.status === watched.status) return;
    const rest = watched.changedAt + REST_MS - now;
    if (rest > 0) {
      watched.timer = setTimeout(() => {
        watched.timer = null;
        this.#judge(providerId, watched);
      }, rest);
      watched.timer.unref();
      return;
    }
    watched.status = observation.status;
    watched.changedAt = now;
    void this.#write(providerId, 'TRAFFIC', observation);
  }

  /** A failure to write is no failure of whoever asked: what traffic shows next is written instead. */
  async #write(providerId: string, source: HealthSource, observation: Observation): Promise<void> {
    const { log, prisma, snapshots } = this.#parts;
    const provider = snapshots.current.providersById.get(providerId);
    const detail = observation.detail && provider ? withoutKeys(observation.detail, provider) : observation.detail;
    const { status, at, latencyMs, upstreamStatus } = observation;
    const seen = { status, at, latencyMs, upstreamStatus, detail: detail && shorten(detail, LONGEST_DETAIL) };
    const write = writeHealth({ prisma }, providerId, source, seen).catch((error) => {
      log.warn({ err: error, providerId }, 'the health of a provider could not be written');
      const watched = this.#watched.get(providerId);
      if (watched) watched.status = null;
    });
    this.#writes.add(write);
    await write;
    this.#writes.delete(write);
  }

  /** What a test shows, on whichever server, is newer than the traffic before it. */
  async #follow(): Promise<void> {
    const { feed } = this.#parts;
    for await (const { payload } of feed.subscribe('PROVIDER_HEALTH', { overflow: 'END' }, this.#closing.signal)) {
      const event = payload as HealthEvent;
      if (event.source !== 'TRAFFIC') this.#startAfresh(event.providerId, event.status);
    }
  }

  #startAfresh(providerId: string, status: ProviderStatus): void {
    const watched = this.#watch(providerId);
    watched.window.clear();
    watched.status = status;
    watched.changedAt = 0;
  }

  #watch(providerId: string): Watched {
    const known = this.#watched.get(providerId);
    if (known) return known;
    const { providersById } = this.#parts.snapshots.current;
    for (const id of this.#watched.keys()) if (!providersById.has(id)) this.#watched.delete(id);
    const watched: Watched = { window: new TrafficWindow(), status: null, changedAt: 0, timer: null };
    this.#watched.set(providerId, watched);
    return watched;
  }
}
