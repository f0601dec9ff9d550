import { type Interval, studentBound, studentTails } from './distributions.ts';

/** Values, summed up. */
export interface Sample {
  count: number;
  mean: number;
  /** Of the sample: divided by count - 1. */
  variance: number;
}

export interface MeanDifference extends Interval {
  /** The second mean less the first. */
  difference: number;
  pValue: number;
}

/**
 * Welch's t-test (1947), which does not take the variances to be equal.
 * @param first at least two values
 * @param second at least two values
 */
export function compareMeans(first: Sample, second: Sample): MeanDifference {
  const difference = second.mean - first.mean;
  const [a, b] = [first.variance / first.count, second.variance / second.count];
  const error = Math.sqrt(a + b);
  // Neither varies at all.
  if (error === 0) return { difference, low: difference, high: difference, pValue: difference === 0 ? 1 : 0 };
  // Welch and Satterthwaite.
  const degreesOfFreedom = (a + b) ** 2 / (a ** 2 / (first.count - 1) + b ** 2 / (second.count - 1));
  const margin = studentBound(degreesOfFreedom) * error;
  return {
    difference,
    low: difference - margin,
    high: difference + margin,
    pValue: studentTails(difference / error, degreesOfFreedom),
  };
}
