import jStat from 'jstat';

/** A 95% confidence interval. */
export interface Interval {
  low: number;
  high: number;
}

/** How many standard deviations hold 95% of a normal distribution. */
export const Z95 = jStat.normal.inv(0.975, 0, 1);

/** How likely a standard normal value is at least this far from 0, on either side. */
export function normalTails(z: number): number {
  return jStat.erfc(Math.abs(z) / Math.SQRT2);
}

/** How likely a value of Student's distribution is at least this far from 0, on either side. */
export function studentTails(t: number, degreesOfFreedom: number): number {
  return jStat.ibeta(degreesOfFreedom / (degreesOfFreedom + t * t), degreesOfFreedom / 2, 0.5);
}

/** How many standard errors hold 95% of Student's distribution. */
export function studentBound(degreesOfFreedom: number): number {
  return jStat.studentt.inv(0.975, degreesOfFreedom);
}

/** The sign test: how likely two sides that are equal win at least this unequally. Exact; 1 when neither won. */
export function signTest(wins: number, losses: number): number {
  if (wins === losses) return 1;
  return Math.min(1, 2 * jStat.binomial.cdf(Math.min(wins, losses), wins + losses, 0.5));
}
