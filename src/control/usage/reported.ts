import type { NewUsageEvent, UsageKey } from '../../gateway/ledger/entries.ts';
import { type PriceVersion, UNKNOWN_USAGE, type Usage } from '../../gateway/ledger/prices.ts';
import type { Snapshot } from '../../gateway/snapshot/snapshot.ts';
import { ConflictError, shorten } from '../../platform/errors.ts';
import { uuidv7 } from '../../platform/ids.ts';
import { findProvider } from './find-called.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { ReportedEvent } from './input.ts';
import { priceOf } from './price.ts';

/** Whose usage it is. */
export interface Reporter {
  userId: string;
  apiKeyId: string | null;
}

/** A reported event as it would go on the ledger, with the price that it names. */
export interface Prepared {
  event: NewUsageEvent;
  price: PriceVersion | null;
}

/** Prices usage as completions are priced, by the time at which it was. What is not known costs null. */
export function prepare(reported: ReportedEvent, reporter: Reporter, snapshot: Snapshot, now: number): Prepared {
  const { model, timestamp, latencyMs, metadata } = reported;
  const provider = findProvider(snapshot, reported.provider);
  const occurredAt = timestamp ? Number(timestamp) : now;
  const usage = usageOf(reported);
  const priced = priceOf({ provider, model, answeredModel: null, usage, reportedCost: null, at: occurredAt });
  const event: NewUsageEvent = {
    ...{ id: uuidv7(), occurredAt, recordedAt: now, ...reporter },
    ...{ providerId: provider?.id ?? null, providerSlug: provider?.slug ?? reported.provider, model, usage },
    cost: priced?.cost ?? null,
    costSource: priced?.costSource ?? null,
    priceVersionId: priced?.price?.id ?? null,
    ...{ latencyMs, metadata: metadata ?? {}, key: keyOf(reported) },
  };
  return { event, price: priced?.price ?? null };
}

export function usageOf(reported: ReportedEvent): Usage {
  const { inputTokens, outputTokens, cachedTokens, cacheWriteTokens, reasoningTokens } = reported;
  return { ...UNKNOWN_USAGE, inputTokens, outputTokens, cachedTokens, cacheWriteTokens, reasoningTokens };
}

/**
 * Which event of a report is recorded in the place of each: the first one under its key, or itself.
 * @throws ConflictError when a later one under the same key has other content.
 */
export function firstsOf(prepared: readonly Prepared[]): (one: Prepared) => Prepared {
  const firsts = new Map<string, Prepared>();
  for (const one of prepared) {
    const { key } = one.event;
    if (!key) continue;
    const first = firsts.get(key.key) ?? one;
    assertSame(key, first.event.key?.fingerprint);
    firsts.set(key.key, first);
  }
  return (one) => firsts.get(one.event.key?.key ?? '') ?? one;
}

/** @throws ConflictError when other content has the key. */
export function assertSame({ key, fingerprint }: UsageKey, other: string | undefined): void {
  if (fingerprint === other) return;
  throw new ConflictError(
    `The idempotencyKey "${shorten(key)}" was used for an event with other content. Nothing was recorded; use a new key for new usage.`,
  );
}

function keyOf(reported: ReportedEvent): UsageKey | null {
  const { idempotencyKey: key } = reported;
  return key ? { key, fingerprint: fingerprintOf(reported) } : null;
}
