import type { PoolClient } from 'pg';
import { type Caller, isAdmin } from '../../gateway/admission/caller.ts';
import { SpendingPoster } from '../../gateway/allowances/post-spending.ts';
import { spendingOfEvent } from '../../gateway/ledger/correct.ts';
import type { Correction } from '../../gateway/ledger/effective.ts';
import { type Entries, noEntries, postEntries, postSpendings } from '../../gateway/ledger/entries.ts';
import { lockHead } from '../../gateway/ledger/post.ts';
import { SeriesIds, seriesOfUsage } from '../../gateway/ledger/series.ts';
import { inTransaction } from '../../platform/database/transaction.ts';
import { ConflictError, ForbiddenError } from '../../platform/errors.ts';
import type { Services } from '../schema/context.ts';
import { accountOf } from '../schema/owners.ts';
import { parseInput } from '../schema/parse-input.ts';
import { type LoggedEvent, readEvents } from './event-rows.ts';
import { LIMITS, type ReportedEvent, type TrackUsageInput, trackUsageInput } from './input.ts';
import { posting } from './posting.ts';
import { assertSame, firstsOf, type Prepared, prepare } from './reported.ts';
import { readResolutions, resolveAttempts } from './resolve.ts';

/** What became of one reported event. */
export interface TrackedEvent {
  /** Null: it was evidence for an attempt. */
  event: LoggedEvent | null;
  /** What the evidence led to. Null: it was usage. */
  correction: Correction | null;
  /** The same was reported before, and nothing was recorded. */
  isDuplicate: boolean;
}

type TrackServices = Pick<Services, 'pool' | 'settings' | 'snapshots' | 'ledgerSeq'>;

/**
 * Records usage that was made elsewhere as the caller's, all of it or nothing; what was recorded before under the same
 * key is not recorded again. As many statements for one event as for a thousand.
 * @returns what became of each event, in their order.
 * @throws ValidationError, AuthenticationError, ForbiddenError; NotFoundError for an attempt that is not there, and
 *   ConflictError when a key or an attempt has something else already.
 */
export async function trackUsage(
  { pool, settings, snapshots, ledgerSeq }: TrackServices,
  caller: Caller,
  input: TrackUsageInput,
): Promise<TrackedEvent[]> {
  const account = accountOf(caller);
  const now = Date.now();
  const { events } = parseInput(trackUsageInput(now, oldestAt(now, settings.ledgerRetentionMonths)), input);
  if (events.some(isEvidence) && !isAdmin(caller))
    throw new ForbiddenError('Evidence for an attempt is for admins. Leave attemptId out to report usage of your own.');
  const reporter = { userId: account.id, apiKeyId: caller.kind === 'API_KEY' ? caller.key.id : null };
  const prepared = events.map((event) => (isEvidence(event) ? null : prepare(event, reporter, snapshots.current, now)));
  const usage = prepared.filter((one) => one !== null);
  const firstOf = firstsOf(usage);
  const { seq, results } = await posting.run(async () => {
    const entriesOf = await sumUp(pool, usage);
    return inTransaction(pool, async (client) => {
      const head = await lockHead(client);
      const known = await readKeys(client, account.id, usage);
      const idOf = (one: Prepared) => known.get(one.event.key?.key ?? '') ?? firstOf(one).event.id;
      const isDuplicate = (one: Prepared) => idOf(one) !== one.event.id;
      const entries = entriesOf(usage.filter((one) => !isDuplicate(one)));
      const evidence = events.map((event) => (isEvidence(event) ? event : null));
      const resolutions = await resolveAttempts(client, snapshots.current, account.id, evidence, entries);
      const seq = await postEntries(client, head, entries);
      const eventOf = await readLogged(client, usage.map(idOf));
      const resolutionOf = await readResolutions(client, resolutions);
      const results = prepared.map((one, index): TrackedEvent => {
        if (!one) return { event: null, ...resolutionOf(resolutions[index]) };
        return { event: eventOf(idOf(one)), correction: null, isDuplicate: isDuplicate(one) };
      });
      await postSpendings(client, new SpendingPoster(settings.timeZone), head, entries);
      return { seq, results };
    });
  });
  ledgerSeq.advance(seq);
  return results;
}

/** Before this, rows are not taken: they would be too old, or gone soon. */
function oldestAt(now: number, retentionMonths: number): number {
  const oldest = now - LIMITS.ageMs;
  if (retentionMonths === 0) return oldest;
  const month = new Date(now);
  return Math.max(oldest, Date.UTC(month.getUTCFullYear(), month.getUTCMonth() - retentionMonths));
}

function isEvidence({ attemptId }: ReportedEvent): boolean {
  return Boolean(attemptId);
}

/**
 * Finds the series of all usage, before there is a transaction: who waits for theirs must not wait for ours.
 * @returns what makes entries of those that are recorded.
 */
async function sumUp(
  pool: TrackServices['pool'],
  usage: readonly Prepared[],
): Promise<(recorded: readonly Prepared[]) => Entries> {
  const series = usage.map(({ event }) => seriesOfUsage(event));
  const ids = await new SeriesIds().of(pool, series.flat());
  const idsOf = new Map(usage.map((one, index) => [one, ids.slice(2 * index, 2 * index + 2)]));
  return (recorded) => {
    const entries = noEntries();
    for (const one of recorded) {
      const { event, price } = one;
      const { userId, apiKeyId, providerId, occurredAt, cost } = event;
      const outcome = { ...event, timeToFirstTokenMs: null };
      entries.events.push(event);
      if (price) entries.prices.push(price);
      for (const seriesId of idsOf.get(one) ?? []) entries.sums.push({ seriesId, startedAt: occurredAt, outcome });
      const spender = spendingOfEvent({ userId, apiKeyId, providerId });
      entries.spendings.push({ ...spender, at: occurredAt, amount: cost ?? 0n });
    }
    return entries;
  };
}

/**
 * The ids of the events that keys were used for before.
 * @throws ConflictError when that was for other content.
 */
async function readKeys(
  client: PoolClient,
  userId: string,
  prepared: readonly Prepared[],
): Promise<ReadonlyMap<string, string>> {
  const keys = prepared.flatMap(({ event }) => event.key ?? []);
  const { rows } = await client.query<{ key: string; id: string; fingerprint: string }>(
    'SELECT key, event_id AS id, fingerprint FROM usage_keys WHERE user_id = $1 AND key = ANY($2)',
    [userId, keys.map(({ key }) => key)],
  );
  const known = new Map(rows.map((row) => [row.key, row]));
  for (const key of keys) {
    const used = known.get(key.key);
    if (used) assertSame(key, used.fingerprint);
  }
  return new Map(rows.map(({ key, id }) => [key, id]));
}

/** @throws ConflictError when an event is gone whose key is not. */
async function readLogged(client: PoolClient, ids: readonly string[]): Promise<(id: string) => LoggedEvent> {
  const events = await readEvents(client, { sql: 'WHERE e.id = ANY($1::uuid[])', values: [ids] });
  const byId = new Map(events.map((event) => [event.id, event]));
  return (id) => {
    const event = byId.get(id);
    if (event) return event;
    throw new ConflictError('An idempotencyKey was used for an event that is no longer kept. Use a new key.');
  };
}
