import type { PoolClient } from 'pg';
import { readChargedCompletions } from '../../gateway/ledger/charged.ts';
import { type Change, type ChargedAttempt, correctCompletion } from '../../gateway/ledger/correct.ts';
import {
  type Correction,
  type CorrectionJson,
  correctionsWhere,
  effective,
  toCorrections,
} from '../../gateway/ledger/effective.ts';
import type { Entries } from '../../gateway/ledger/entries.ts';
import type { PriceComponents, PriceVersion, Usage } from '../../gateway/ledger/prices.ts';
import type { Snapshot } from '../../gateway/snapshot/snapshot.ts';
import { ConflictError, invalid, NotFoundError } from '../../platform/errors.ts';
import { findProvider } from './find-called.ts';
import type { ReportedEvent } from './input.ts';
import { type Price, pricedBy, priceOf } from './price.ts';
import { usageOf } from './reported.ts';
import { seriesIdsOf } from './series-ids.ts';

/** What evidence for an attempt leads to. */
export interface Resolution {
  attemptId: string;
  /** It was resolved by the same before. */
  isDuplicate: boolean;
}

/**
 * Enters what INDETERMINATE attempts really used, each once, at their price version. The caller holds the ledger's head.
 * Three statements at most, however many there are.
 * @param evidence by the place in the report; null: no evidence
 * @throws NotFoundError, ConflictError when an attempt is not INDETERMINATE or was resolved by something else,
 *   ValidationError when it is another's call or has no price.
 */
export async function resolveAttempts(
  client: PoolClient,
  snapshot: Snapshot,
  correctedBy: string,
  evidence: readonly (ReportedEvent | null)[],
  entries: Entries,
): Promise<(Resolution | null)[]> {
  const ids = evidence.flatMap((event) => event?.attemptId ?? []);
  if (ids.length === 0) return evidence.map(() => null);
  const completions = await readChargedCompletions(client, ids);
  const attempts = new Map(completions.flatMap((completion) => completion.attempts.map((one) => [one.id, one])));
  const prices = await readPrices(client, [...attempts.values()]);
  const changes = new Map<string, Change>();
  const resolutions = evidence.map((event, index) => {
    if (!event?.attemptId) return null;
    const attempt = attempts.get(event.attemptId);
    if (!attempt) throw new NotFoundError(`There is no attempt ${event.attemptId} whose completion has ended.`);
    const usage = usageOf(event);
    const before = changes.get(attempt.id)?.usage ?? resolutionOf(attempt)?.usage;
    if (before) {
      assertSame(attempt, before, usage);
      return { attemptId: attempt.id, isDuplicate: true };
    }
    assertMeant(snapshot, attempt, event, `events.${index}`);
    const priced = priceOfAttempt(snapshot, attempt, usage, prices);
    if (!priced)
      throw invalid(`events.${index}.attemptId`, 'has no price; give its model one, then report the same again');
    changes.set(attempt.id, { ...priced, usage, reason: 'RESOLVED', correctedBy });
    return { attemptId: attempt.id, isDuplicate: false };
  });
  const changed = completions.filter((completion) => completion.attempts.some(({ id }) => changes.has(id)));
  const idOf = await seriesIdsOf(
    client,
    changed.flatMap(({ series, attempts }) => [series, ...attempts.map((one) => one.series)]),
  );
  for (const completion of changed) correctCompletion(entries, completion, changes, idOf);
  return resolutions;
}

/** The corrections that resolutions made, now or before. One statement. */
export async function readResolutions(
  client: PoolClient,
  resolutions: readonly (Resolution | null)[],
): Promise<(resolution: Resolution | null | undefined) => { correction: Correction | null; isDuplicate: boolean }> {
  const ids = resolutions.flatMap((resolution) => resolution?.attemptId ?? []);
  const { rows } = await client.query<{ id: string; corrections: CorrectionJson[] | null }>(
    `SELECT a.id, ${correctionsWhere(`k.attempt_id = a.id AND k.reason = 'RESOLVED'`)} AS corrections
     FROM unnest($1::uuid[]) AS a (id)`,
    [ids],
  );
  const byId = new Map(rows.map(({ id, corrections }) => [id, toCorrections(corrections)[0] ?? null]));
  return (resolution) => ({
    correction: (resolution && byId.get(resolution.attemptId)) ?? null,
    isDuplicate: resolution?.isDuplicate ?? false,
  });
}

function resolutionOf({ corrections }: ChargedAttempt): Correction | undefined {
  return corrections.find(({ reason }) => reason === 'RESOLVED');
}

function assertSame({ id }: ChargedAttempt, before: Usage, usage: Usage): void {
  if ((Object.keys(usage) as (keyof Usage)[]).every((name) => usage[name] === before[name])) return;
  throw new ConflictError(`The attempt ${id} was resolved before, with other tokens. Nothing was recorded.`);
}

/** Evidence names the provider and the model, so that an id in the wrong place does no harm. */
function assertMeant(snapshot: Snapshot, attempt: ChargedAttempt, event: ReportedEvent, path: string): void {
  if (attempt.status !== 'INDETERMINATE')
    throw new ConflictError(
      `The attempt ${attempt.id} is ${attempt.status}: its usage is known. Only what is INDETERMINATE can be resolved.`,
    );
  const slug = findProvider(snapshot, event.provider)?.slug ?? event.provider;
  if (slug !== attempt.providerSlug) throw invalid(`${path}.provider`, 'is not the provider of that attempt');
  if (event.model !== attempt.model) throw invalid(`${path}.model`, 'is not the model of that attempt');
}

/** By the price version that the attempt has, else as usage of that time is priced now. */
function priceOfAttempt(
  snapshot: Snapshot,
  attempt: ChargedAttempt,
  usage: Usage,
  prices: ReadonlyMap<string, PriceVersion>,
): Price | null {
  const { providerId, model, answeredModel, startedAt } = attempt;
  const { priceVersionId } = effective(attempt, attempt.corrections);
  const stamped = priceVersionId === null ? undefined : prices.get(priceVersionId);
  if (stamped) return pricedBy(stamped, usage);
  const provider = snapshot.providersById.get(providerId) ?? null;
  return priceOf({ provider, model, answeredModel, usage, reportedCost: null, at: startedAt });
}

async function readPrices(
  client: PoolClient,
  attempts: readonly ChargedAttempt[],
): Promise<ReadonlyMap<string, PriceVersion>> {
  const ids = attempts.flatMap((attempt) => effective(attempt, attempt.corrections).priceVersionId ?? []);
  const { rows } = await client.query<{ id: string; components: PriceComponents }>(
    'SELECT id, components FROM price_versions WHERE id = ANY($1)',
    [[...new Set(ids)]],
  );
  return new Map(rows.map((row) => [row.id, row]));
}
