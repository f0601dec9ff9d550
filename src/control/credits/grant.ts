import type { Caller } from '../../gateway/admission/caller.ts';
import { changeRules } from '../../gateway/allowances/change-rules.ts';
import { ConflictError, invalid } from '../../platform/errors.ts';
import { uuidv7 } from '../../platform/ids.ts';
import { toUsd } from '../../platform/money.ts';
import { changeAccounts, findUser } from '../accounts/accounts.ts';
import { queryIn, type Transaction } from '../schema/change-configuration.ts';
import type { Services } from '../schema/context.ts';
import { accountOf } from '../schema/owners.ts';
import { parseInput } from '../schema/parse-input.ts';
import { type GrantCreditsInput, grantCreditsInput } from './input.ts';
import { type Credits, readCredits } from './read.ts';

/** The most that a user can have been granted, in picodollars: so much is still counted exactly everywhere. */
const MOST = 10n ** 30n;

/**
 * Gives a user credits, or takes some back. The first grant begins to limit them: what was admitted before is free.
 * Returns once this server sets money aside by the change.
 * @returns the credits as they are then
 * @throws ValidationError, also when more is to be taken back than is left; NotFoundError; ConflictError when the key
 *   names another grant
 */
export async function grantCredits(
  services: Pick<Services, 'prisma' | 'accounts' | 'leases'>,
  caller: Caller,
  input: GrantCreditsInput,
): Promise<Credits> {
  const { userId: wanted, ...grant } = parseInput(grantCreditsInput, input);
  const { id: userId } = await findUser(services, wanted);
  await changeAccounts(services, async (tx, revision) => {
    if (await isGranted(tx, userId, grant)) return;
    await changeRules(queryIn(tx));
    await addToLimit(tx, userId, grant.amount);
    const data = { ...grant, id: uuidv7(), userId, amount: grant.amount.toString(), grantedBy: accountOf(caller).id };
    await tx.creditGrant.create({ data });
    await tx.user.update({ where: { id: userId }, data: { revision } });
  });
  await services.leases.refresh();
  const credits = await readCredits(services, userId);
  if (!credits) throw new Error(`The credits of ${userId}, which were granted, could not be read.`);
  return credits;
}

/** Whether it was made before, by its key. Grants are made one after the other, so no one makes it meanwhile. */
async function isGranted(
  tx: Transaction,
  userId: string,
  { key, amount }: { key: string | null; amount: bigint },
): Promise<boolean> {
  if (key === null) return false;
  const before = await tx.creditGrant.findUnique({ where: { userId_key: { userId, key } } });
  if (!before) return false;
  const granted = BigInt(before.amount.toFixed());
  if (granted === amount) return true;
  throw new ConflictError(
    `This key names a grant of $${toUsd(granted)} to this user; use another key for another grant.`,
  );
}

/** The ledger's head is held, so that nothing is spent or granted meanwhile; the row's lock keeps out who would lease. */
async function addToLimit(tx: Transaction, userId: string, amount: bigint): Promise<void> {
  const [row] = await tx.$queryRaw<{ limit: string; used: string }[]>`
    SELECT "limit"::text, (settled + leased)::text AS used FROM allowances WHERE user_id = ${userId}::uuid FOR UPDATE`;
  const granted = BigInt(row?.limit ?? 0);
  const free = granted - BigInt(row?.used ?? 0);
  if (amount < 0n && free + amount < 0n)
    throw invalid(
      'amount',
      `takes back more than the $${toUsd(free > 0n ? free : 0n)} that are neither spent nor set aside`,
    );
  const limit = granted + amount;
  if (limit > MOST) throw invalid('amount', `would make more than $${toUsd(MOST)} in all`);
  // What is on the ledger already is free of them, also where a server's clock is ahead.
  await tx.$executeRaw`
    INSERT INTO allowances (id, kind, user_id, "limit", starts_at)
    VALUES (${uuidv7()}::uuid, 'CREDITS', ${userId}::uuid, ${limit.toString()}::numeric,
      greatest(date_trunc('milliseconds', clock_timestamp()),
        (SELECT started_at + interval '1 ms' FROM completions WHERE user_id = ${userId}::uuid ORDER BY id DESC LIMIT 1)))
    ON CONFLICT (user_id) DO UPDATE SET "limit" = excluded."limit"`;
}
