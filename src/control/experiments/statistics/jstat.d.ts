/** The part of the library that is used here; it brings no types. */
declare module 'jstat' {
  const jStat: {
    /** The complementary error function. */
    erfc(x: number): number;
    /** The regularized incomplete beta function. */
    ibeta(x: number, a: number, b: number): number;
    normal: { inv(p: number, mean: number, deviation: number): number };
    studentt: { inv(p: number, degreesOfFreedom: number): number };
    binomial: { cdf(k: number, n: number, p: number): number };
  };
  export default jStat;
}
