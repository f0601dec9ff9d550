/** Integer picodollars, 10⁻¹² USD. All money inside Signalbox is this. */
export type Picodollars = bigint & { readonly __brand: 'Picodollars' };

const PICO_PER_USD_DIGITS = 12;

/** The same number as money. Use only where the number is known to be picodollars. */
export function picodollars(value: bigint): Picodollars {
  return value as Picodollars;
}

/** `1234500000000n` → `"1.2345"`. Exact; no exponent, no trailing zeros. */
export function toUsd(value: bigint): string {
  const sign = value < 0n ? '-' : '';
  const digits = (value < 0n ? -value : value).toString().padStart(PICO_PER_USD_DIGITS + 1, '0');
  const whole = digits.slice(0, -PICO_PER_USD_DIGITS);
  const fraction = digits.slice(-PICO_PER_USD_DIGITS).replace(/0+$/, '');
  return fraction ? `${sign}${whole}.${fraction}` : `${sign}${whole}`;
}

/**
 * `"1.2345"` → `1234500000000n`.
 * @returns null when the text is not a decimal number with at most 12 decimals.
 */
export function fromUsd(text: string): Picodollars | null {
  const match = /^(-?)(\d{1,18})(?:\.(\d{1,12}))?$/.exec(text);
  if (!match) return null;
  const [, sign, whole, fraction = ''] = match;
  const value = BigInt(`${whole}${fraction.padEnd(PICO_PER_USD_DIGITS, '0')}`);
  return picodollars(sign ? -value : value);
}

/**
 * Dollars as JSON tells them: `0.00007159` → `71590000n`. To the nearest picodollar.
 * @returns null when it is no number from 0 to a million.
 */
export function fromUsdNumber(value: unknown): Picodollars | null {
  return typeof value === 'number' && value >= 0 && value <= 1_000_000
    ? fromUsd(value.toFixed(PICO_PER_USD_DIGITS))
    : null;
}

/**
 * Price lists are in dollars per million tokens, costs are counted in picodollars per token: $1 per 1M tokens is
 * 1,000,000 of those.
 * @param perMillion picodollars per 1M tokens
 * @returns null when it is not a whole number of picodollars per token, or negative, or too large for a number.
 */
export function pricePerToken(perMillion: bigint): number | null {
  if (perMillion < 0n || perMillion % 1_000_000n !== 0n) return null;
  const perToken = perMillion / 1_000_000n;
  return perToken <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(perToken) : null;
}

/** The inverse, in picodollars per 1M tokens. */
export function pricePerMillion(perToken: number): Picodollars {
  return picodollars(BigInt(perToken) * 1_000_000n);
}
