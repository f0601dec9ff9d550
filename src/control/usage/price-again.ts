import type pg from 'pg';
import { readChargedCompletions, readChargedEvents } from '../../gateway/ledger/charged.ts';
import { type Change, type Charged, correctCompletion, correctEvent } from '../../gateway/ledger/correct.ts';
import { effective } from '../../gateway/ledger/effective.ts';
import type { Entries } from '../../gateway/ledger/entries.ts';
import type { Snapshot } from '../../gateway/snapshot/snapshot.ts';
import { findProvider } from './find-called.ts';
import { type Price, priceOf, type Use } from './price.ts';
import { seriesIdsOf } from './series-ids.ts';
import type { Tally } from './tally.ts';

export interface Pricing {
  /** Whose prices hold. */
  snapshot: Snapshot;
  correctedBy: string;
  /** Also what has a price is priced again. */
  includePriced: boolean;
}

type Client = Pick<pg.ClientBase, 'query'>;

/**
 * Prices attempts again.
 * @param tally is told what that changes
 * @param entries get the corrections; null: nothing is to be posted
 */
export async function priceAttempts(
  client: Client,
  pricing: Pricing,
  ids: readonly string[],
  tally: Tally,
  entries: Entries | null,
): Promise<void> {
  const wanted = new Set(ids);
  const completions = await readChargedCompletions(client, ids);
  const changes = new Map<string, Change>();
  for (const attempt of completions.flatMap(({ attempts }) => attempts)) {
    if (!wanted.has(attempt.id)) continue;
    const { providerId, providerSlug, model, answeredModel, startedAt } = attempt;
    const provider = pricing.snapshot.providersById.get(providerId) ?? null;
    const price = changeOf(pricing, attempt, { provider, model, answeredModel, at: startedAt });
    const line = { provider: providerSlug, model: answeredModel ?? model };
    count(tally, 'attempts', line, attempt, price);
    if (price.change) changes.set(attempt.id, price.change);
  }
  const changed = completions.filter(({ attempts }) => attempts.some(({ id }) => changes.has(id)));
  if (!entries || changed.length === 0) return;
  const series = changed.flatMap((one) => [one.series, ...one.attempts.map((attempt) => attempt.series)]);
  const idOf = await seriesIdsOf(client, series);
  for (const completion of changed) correctCompletion(entries, completion, changes, idOf);
}

/** Prices usage events again; the parameters are those of `priceAttempts`. */
export async function priceEvents(
  client: Client,
  pricing: Pricing,
  ids: readonly string[],
  tally: Tally,
  entries: Entries | null,
): Promise<void> {
  const events = await readChargedEvents(client, ids);
  const changed = events.flatMap((event) => {
    const { providerId, providerSlug, model, occurredAt } = event;
    const { snapshot } = pricing;
    // A provider may have got the name that was reported since.
    const provider =
      providerId === null ? findProvider(snapshot, providerSlug) : (snapshot.providersById.get(providerId) ?? null);
    const price = changeOf(pricing, event, { provider, model, answeredModel: null, at: occurredAt });
    count(tally, 'events', { provider: providerSlug, model }, event, price);
    return price.change ? [{ event, change: price.change }] : [];
  });
  if (!entries || changed.length === 0) return;
  const idOf = await seriesIdsOf(
    client,
    changed.flatMap(({ event }) => event.series),
  );
  for (const { event, change } of changed) correctEvent(entries, event, change, idOf);
}

interface Outcome {
  /** Null: it stays as it is. */
  change: Change | null;
  isUnpriced: boolean;
}

/** What a provider said of a cost stays, unless an admin's price goes before it. A price that is lost changes nothing. */
function changeOf(pricing: Pricing, charged: Charged, of: Omit<Use, 'usage' | 'reportedCost'>): Outcome {
  const { usage, cost } = effective(charged, charged.corrections);
  if (cost !== null && !pricing.includePriced) return { change: null, isUnpriced: false };
  const reportedCost = charged.costSource === 'REPORTED' ? charged.cost : null;
  const price: Price | null = priceOf({ ...of, usage, reportedCost });
  if (!price || price.cost === cost) return { change: null, isUnpriced: cost === null };
  return { change: { ...price, usage, reason: 'REPRICED', correctedBy: pricing.correctedBy }, isUnpriced: false };
}

function count(
  tally: Tally,
  kind: 'attempts' | 'events',
  of: { provider: string; model: string },
  charged: Charged,
  { change, isUnpriced }: Outcome,
): void {
  if (change) tally.changed(kind, of, effective(charged, charged.corrections).cost ?? 0n, change.cost);
  else if (isUnpriced) tally.unpriced(of);
}
