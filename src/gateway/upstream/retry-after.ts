import type { IncomingHttpHeaders } from 'node:http';
import type { ProviderError } from './provider-error.ts';

const LONGEST_MS = 86_400_000;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/**
 * How long a provider asks to be left alone, in milliseconds: by its headers, in the details of the error, or in its
 * text. Asked only of errors: providers send the headers with good answers, too.
 * @param now milliseconds since 1970, for dates
 */
export function retryAfterMs(headers: IncomingHttpHeaders, error: ProviderError, now: number): number | null {
  const ms = fromHeaders(headers, now) ?? error.retryAfterMs ?? fromText(error.message);
  return ms === null ? null : Math.min(LONGEST_MS, Math.max(0, Math.ceil(ms)));
}

function fromHeaders(headers: IncomingHttpHeaders, now: number): number | null {
  const precise = headers['retry-after-ms'];
  if (typeof precise === 'string' && /^\d+(\.\d+)?$/.test(precise)) return Number(precise);
  const header = headers['retry-after'];
  if (!header) return null;
  if (/^\d+(\.\d+)?$/.test(header)) return Number(header) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : date - now;
}

/** `Please try again in 1m7.66s`, `Please retry in 48.9s`: what OpenAI, Groq and Google say. */
function fromText(message: string): number | null {
  const found = /(?:try again|retry) in ((?:\d+(?:\.\d+)?(?:ms|s|m|h)\s?)+)/i.exec(message)?.[1];
  if (!found) return null;
  let ms = 0;
  for (const [, amount, unit = 's'] of found.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    ms += Number(amount) * (UNIT_MS[unit] ?? 0);
  return ms;
}
