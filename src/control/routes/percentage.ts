interface Weighed {
  weight: number;
  route: { strategy: string; targets: readonly { weight: number }[] };
}

/** What Prisma must read of a target to tell its percentage. */
export const WEIGHED = {
  weight: true,
  route: { select: { strategy: true, targets: { select: { weight: true } } } },
} as const;

/** A target's share of its route's requests in percent; null where requests are not split by weight. */
export function percentageOf({ weight, route }: Weighed): number | null {
  if (route.strategy !== 'WEIGHTED') return null;
  const sum = route.targets.reduce((total, target) => total + target.weight, 0);
  return sum === 0 ? 0 : (weight * 100) / sum;
}
