import { type Picodollars, picodollars } from '../../platform/money.ts';
import type { Services } from '../schema/context.ts';

/** What a user was granted, and what of it is left. */
export interface Credits {
  userId: string;
  /** Picodollars: all grants together, less what was taken back. */
  granted: Picodollars;
  spent: Picodollars;
  /** What servers have set aside of it: for completions that run, and a little in advance. */
  held: Picodollars;
  /** When they were first granted; what was admitted before is free of them. */
  since: Date;
}

/** The credits of a user; null: they were never granted any. */
export async function readCredits({ prisma }: Pick<Services, 'prisma'>, userId: string): Promise<Credits | null> {
  const row = await prisma.allowance.findUnique({ where: { userId } });
  if (!row) return null;
  const money = (amount: { toFixed(): string }) => picodollars(BigInt(amount.toFixed()));
  return {
    userId,
    granted: money(row.limit),
    spent: money(row.settled),
    held: money(row.leased),
    since: row.startsAt,
  };
}

/** What is not spent; less than nothing where a completion cost more than could be expected. */
export function balanceOf({ granted, spent }: Credits): Picodollars {
  return picodollars(granted - spent);
}

/** What may still be set aside: 0 at least. */
export function remainingOf({ granted, spent, held }: Credits): Picodollars {
  const remaining = granted - spent - held;
  return picodollars(remaining > 0n ? remaining : 0n);
}
