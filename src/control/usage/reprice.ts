import { SpendingPoster } from '../../gateway/allowances/post-spending.ts';
import { type Entries, noEntries, postEntries, postSpendings } from '../../gateway/ledger/entries.ts';
import { lockHead } from '../../gateway/ledger/post.ts';
import { inTransaction } from '../../platform/database/transaction.ts';
import type { Context, Services } from '../schema/context.ts';
import { accountOf } from '../schema/owners.ts';
import { parseInput } from '../schema/parse-input.ts';
import { slugsOf } from './find-called.ts';
import { posting } from './posting.ts';
import { type Pricing, priceAttempts, priceEvents } from './price-again.ts';
import { type RepriceInput, repriceInput } from './reprice-input.ts';
import { readAttempts, readEventPlaces, type UsePlace, type Wanted } from './reprice-rows.ts';
import { useSpan } from './span.ts';
import { Tally } from './tally.ts';
import { CLOCK_MARGIN_MS } from './unpriced-rows.ts';

/** How many attempts, and how many events, one call looks at. */
const MOST_LOOKED_AT = 100_000;
/** Looked at, and posted, in one transaction. */
const BATCH = 500;

/** What pricing again changed, or would change. */
export interface Repricing {
  isDryRun: boolean;
  tally: Tally;
  /** Where a further call has to begin. Null: all of the range was looked at. */
  moreFrom: Date | null;
}

type RepriceServices = Pick<Services, 'pool' | 'settings' | 'snapshots' | 'ledgerSeq' | 'log'>;
type Read = (wanted: Wanted, after: UsePlace | null, limit: number) => Promise<UsePlace[]>;
type PriceThese = typeof priceAttempts;

/**
 * Prices usage again by the prices that are known now, as of the time of the usage, and posts what that changes as
 * corrections, a batch in one transaction. What is posted is posted when it fails or is left halfway; running it again
 * does the rest. A dry run posts nothing.
 * @param most how many attempts, and how many events, are looked at; to be a multiple of a batch
 * @throws ValidationError
 */
export async function repriceUsage(
  services: RepriceServices,
  { caller, signal }: Pick<Context, 'caller' | 'signal'>,
  input: RepriceInput,
  most = MOST_LOOKED_AT,
): Promise<Repricing> {
  const { pool, snapshots, log } = services;
  const { from, to, provider, model, includePriced, isDryRun } = parseInput(repriceInput, input);
  const snapshot = snapshots.current;
  const span = useSpan({ from, to }, new Date());
  const wanted = { span, providers: provider === null ? null : slugsOf(snapshot, provider), model, includePriced };
  const pricing: Pricing = { snapshot, correctedBy: accountOf(caller).id, includePriced };
  const tally = new Tally();
  const spending = new SpendingPoster(services.settings.timeZone);
  const run = async (read: Read, price: PriceThese) => {
    let looked = 0;
    let last: UsePlace | null = null;
    while (looked < most && !signal.aborted) {
      const page: UsePlace[] = await read(wanted, last, BATCH);
      looked += page.length;
      const ids = page.map(({ id }) => id);
      if (ids.length > 0) tally.add(await priceBatch(services, spending, pricing, ids, price, isDryRun));
      if (page.length < BATCH) return null;
      last = page.at(-1) ?? null;
    }
    return last?.at ?? null;
  };
  const left = [
    await run((...args) => readAttempts(pool, ...args), priceAttempts),
    await run((...args) => readEventPlaces(pool, ...args), priceEvents),
  ].filter((at) => at !== null);
  // Attempts are looked at in the order of their ids, which is that of their times only about.
  const next = Math.min(...left.map(Number));
  const before = next - CLOCK_MARGIN_MS;
  const moreFrom = left.length > 0 ? new Date(before > Number(from) ? before : next) : null;
  if (!isDryRun)
    log.info({ userId: pricing.correctedBy, from, to, provider, model, includePriced }, 'usage was repriced');
  return { isDryRun, tally, moreFrom };
}

/** Looks first, so that the ledger's head is held only where there is something to post; then looks again. */
async function priceBatch(
  { pool, ledgerSeq }: RepriceServices,
  spending: SpendingPoster,
  pricing: Pricing,
  ids: readonly string[],
  price: PriceThese,
  isDryRun: boolean,
): Promise<Tally> {
  const foreseen = new Tally();
  await price(pool, pricing, ids, foreseen, null);
  if (isDryRun || foreseen.isEmpty) return foreseen;
  const tally = new Tally();
  const seq = await posting.run(() =>
    inTransaction(pool, async (client) => {
      const head = await lockHead(client);
      const entries: Entries = noEntries();
      await price(client, pricing, ids, tally, entries);
      const posted = await postEntries(client, head, entries);
      await postSpendings(client, spending, head, entries);
      return posted;
    }),
  );
  ledgerSeq.advance(seq);
  return tally;
}
