import { hash } from 'node:crypto';
import { randomFrom } from '../digest.ts';

/** The most numbers of a vector. */
export const MOST_DIMENSIONS = 3072;

/** A direction of length 1 that follows from `text` alone: the same for the same text, and without a meaning. */
export function vectorOf(text: string, dimensions: number): Float32Array {
  const random = randomFrom(hash('sha256', text));
  const vector = Float64Array.from({ length: dimensions }, () => random() - 0.5);
  const length = Math.hypot(...vector);
  return Float32Array.from(vector, (value) => value / length);
}
