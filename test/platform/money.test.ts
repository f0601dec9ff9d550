import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromUsd, fromUsdNumber, pricePerMillion, pricePerToken, toUsd } from '../../src/platform/money.ts';

describe('money', () => {
  test('every amount reads back as itself', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(10n ** 29n), max: 10n ** 29n }), (amount) => {
        expect(fromUsd(toUsd(amount))).toBe(amount);
      }),
    );
  });

  test('amounts are written without exponent and without trailing zeros', () => {
    expect(toUsd(1n)).toBe('0.000000000001');
    expect(toUsd(1_234_500_000_000n)).toBe('1.2345');
    expect(toUsd(-500_000_000_000n)).toBe('-0.5');
    expect(toUsd(0n)).toBe('0');
  });

  test.each(['', '1e3', '.5', '1.', '0.0000000000001', 'NaN', '1,5', ' 1'])('%j is not an amount', (text) => {
    expect(fromUsd(text)).toBeNull();
  });

  test('an amount as a JSON number is read to the nearest picodollar', () => {
    expect(fromUsdNumber(JSON.parse('0.00007159'))).toBe(71_590_000n);
    expect(fromUsdNumber(JSON.parse('4.65e-6'))).toBe(4_650_000n);
    expect(fromUsdNumber(JSON.parse('1.4e-13'))).toBe(0n);
    expect(fromUsdNumber(JSON.parse('1.6e-12'))).toBe(2n);
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 14n }), (amount) => {
        expect(fromUsdNumber(JSON.parse(toUsd(amount)))).toBe(amount);
      }),
    );
  });

  test.each([null, undefined, '1', {}, Number.NaN, Number.POSITIVE_INFINITY, -1, 1e7, 1e300])(
    '%j is no amount in dollars',
    (value) => expect(fromUsdNumber(value)).toBeNull(),
  );

  test('a price per million tokens is a whole number of picodollars per token, or refused', () => {
    expect(pricePerToken(400_000_000_000n)).toBe(400_000);
    expect(pricePerToken(1_000_000n)).toBe(1);
    expect(pricePerToken(100_000n)).toBeNull();
    expect(pricePerToken(-1_000_000n)).toBeNull();
    expect(pricePerToken(2n ** 53n * 1_000_000n)).toBeNull();
    expect(pricePerMillion(400_000)).toBe(400_000_000_000n);
  });
});
