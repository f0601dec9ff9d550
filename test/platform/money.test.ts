import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromUsd, pricePerMillion, pricePerToken, toUsd } from '../../src/platform/money.ts';

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

  test('a price per million tokens is a whole number of picodollars per token, or refused', () => {
    expect(pricePerToken(400_000_000_000n)).toBe(400_000);
    expect(pricePerToken(1_000_000n)).toBe(1);
    expect(pricePerToken(100_000n)).toBeNull();
    expect(pricePerToken(-1_000_000n)).toBeNull();
    expect(pricePerToken(2n ** 53n * 1_000_000n)).toBeNull();
    expect(pricePerMillion(400_000)).toBe(400_000_000_000n);
  });
});
