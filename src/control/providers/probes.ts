import { NO_OWN_KEYS } from '../../gateway/admission/caller.ts';
import { isUsable } from '../../gateway/routing/usable.ts';
import type { ProviderEntry } from '../../gateway/snapshot/snapshot.ts';
import { PROVIDER_KINDS } from '../../gateway/upstream/kinds.ts';
import type { Services } from '../schema/context.ts';
import { statusOfTest, verdictOf } from './health-status.ts';
import type { Observation } from './health-store.ts';

/** Probes of one server at once. */
const MOST_AT_ONCE = 4;
/** An answer that takes longer shows a provider that is in trouble. */
const SLOW_MS = 5_000;
/** A failure that is alone may be the network's; it is looked at once more after this long. */
const SECOND_LOOK_MS = 1_000;
/** Servers tick at different times: whoever comes within the last fifth of an interval may probe already. */
const DUE_SHARE = 0.8;

type Parts = Pick<Services, 'settings' | 'log' | 'prisma' | 'snapshots' | 'gateway'>;
type HasTraffic = (providerId: string, sinceMs: number) => boolean;
type Keep = (providerId: string, observation: Observation) => Promise<void>;

/**
 * Asks every enabled provider for its list of models from time to time, which costs nothing, while no traffic shows how
 * it does. Of several servers over one database one does it. Kinds without a list are never probed: that would cost
 * tokens.
 */
export class Probes {
  readonly #parts: Parts;
  readonly #hasTraffic: HasTraffic;
  readonly #keep: Keep;
  readonly #closing = new AbortController();
  /** Providers that answered that they have no such list, as they were then. */
  readonly #without = new WeakSet<ProviderEntry>();
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> = Promise.resolve();

  /**
   * @param hasTraffic whether calls since a time have shown how a provider does
   * @param keep called with what a probe showed
   */
  constructor(parts: Parts, hasTraffic: HasTraffic, keep: Keep) {
    this.#parts = parts;
    this.#hasTraffic = hasTraffic;
    this.#keep = keep;
    if (parts.settings.providerProbeIntervalSeconds > 0) this.#schedule();
  }

  /** Ends those that run; resolves once they have ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    if (this.#timer) clearTimeout(this.#timer);
    await this.#round;
  }

  /** Between 0.8 and 1.2 intervals from now, so that servers and providers do not all meet. */
  #schedule(): void {
    const intervalMs = this.#parts.settings.providerProbeIntervalSeconds * 1_000;
    this.#timer = setTimeout(
      () => {
        this.#round = this.#probeAll(intervalMs).then(() => {
          if (!this.#closing.signal.aborted) this.#schedule();
        });
      },
      intervalMs * (0.8 + Math.random() * 0.4),
    );
    this.#timer.unref();
  }

  async #probeAll(intervalMs: number): Promise<void> {
    const { log, snapshots } = this.#parts;
    try {
      const candidates = snapshots.current.providers.filter(
        (provider) =>
          isUsable(provider, NO_OWN_KEYS) &&
          PROVIDER_KINDS[provider.kind].checkPath !== null &&
          !this.#without.has(provider) &&
          !this.#hasTraffic(provider.id, Date.now() - intervalMs),
      );
      const due = await this.#claim(candidates, intervalMs);
      const waiting = [...due];
      const work = async () => {
        for (let next = waiting.shift(); next && !this.#closing.signal.aborted; next = waiting.shift())
          await this.#probe(next);
      };
      await Promise.all(Array.from({ length: MOST_AT_ONCE }, work));
    } catch (error) {
      log.warn({ err: error }, 'providers could not be probed');
    }
  }

  /** Those that no server has probed within the interval; from now on they are this server's. One statement. */
  async #claim(candidates: readonly ProviderEntry[], intervalMs: number): Promise<ProviderEntry[]> {
    if (candidates.length === 0) return [];
    const ids = candidates.map(({ id }) => id);
    const claimed = await this.#parts.prisma.$queryRaw<{ id: string }[]>`
      INSERT INTO provider_probes (provider_id, probed_at)
      SELECT id, now() FROM providers WHERE id = ANY (${ids}::uuid[])
          ON CONFLICT (provider_id) DO UPDATE SET probed_at = now()
       WHERE provider_probes.probed_at < now() - ${(intervalMs * DUE_SHARE) / 1_000} * interval '1 second'
      RETURNING provider_id AS id`;
    const mine = new Set(claimed.map(({ id }) => id));
    return candidates.filter(({ id }) => mine.has(id));
  }

  async #probe(provider: ProviderEntry): Promise<void> {
    let seen = await this.#look(provider);
    if (seen?.status === 'OFFLINE') {
      await new Promise((resolve) => setTimeout(resolve, SECOND_LOOK_MS).unref());
      seen = await this.#look(provider);
    }
    if (!seen || !this.#isStillSo(provider)) return;
    this.#parts.gateway.noteProbe(provider.id, seen.status !== 'OFFLINE');
    await this.#keep(provider.id, seen);
  }

  /** Whoever got another address or key meanwhile is tested for it; what was seen before says nothing of that. */
  #isStillSo({ id, baseUrl, keys }: ProviderEntry): boolean {
    const now = this.#parts.snapshots.current.providersById.get(id);
    const ids = (of: ProviderEntry['keys']) => of.map((key) => key.id).join();
    return now !== undefined && now.baseUrl === baseUrl && ids(now.keys) === ids(keys);
  }

  /** Null: it says nothing of how the provider does. */
  async #look(provider: ProviderEntry): Promise<Observation | null> {
    const { gateway, settings } = this.#parts;
    const { signal } = this.#closing;
    const timeoutMs = settings.providerTestTimeoutMs;
    const outcome = await gateway.modelLists.read(provider, { timeoutMs, isCheck: true, signal });
    if (signal.aborted) return null;
    const { failure, latencyMs, upstreamStatus } = outcome;
    const seen = { at: new Date(), latencyMs, upstreamStatus };
    if (!failure) {
      const isSlow = latencyMs > SLOW_MS;
      const detail = isSlow ? `${provider.slug} took ${(latencyMs / 1_000).toFixed(1)} s to list its models.` : null;
      return { ...seen, status: isSlow ? 'DEGRADED' : 'ONLINE', detail };
    }
    // A key that may complete need not be allowed to list.
    const isForbidden = upstreamStatus === 403 && failure.key === null;
    const verdict = isForbidden
      ? 'REFUSED'
      : verdictOf({ status: 'FAILED', errorCode: failure.error.code, upstreamStatus });
    // It is there, and has no list: whether it answers completions is another question.
    if (verdict === 'REFUSED') this.#without.add(provider);
    if (verdict === null || verdict === 'REFUSED') return null;
    return { ...seen, status: statusOfTest(verdict), detail: failure.error.message };
  }
}
