import * as z from 'zod';
import { invalid, shorten } from '../../../platform/errors.ts';
import { FAULTS } from './faults.ts';
import { firstIssue } from './issues.ts';

const TEN_MINUTES_MS = 600_000;
const MOST_TOKENS = 1_000_000;
const MOST_TIMES = 1_000_000;
const A_DAY_S = 86_400;

const controls = z.strictObject({
  /** Wait before the headers. */
  latencyMs: z.number().min(0).max(TEN_MINUTES_MS).optional(),
  /** Wait between the headers and the first event. */
  firstTokenMs: z.number().min(0).max(TEN_MINUTES_MS).optional(),
  /** Pace of the events; 0 or absent: as fast as the socket takes them. */
  tokensPerSecond: z.number().min(0).max(MOST_TOKENS).optional(),
  /** Length of a text answer. */
  outputTokens: z.int().min(1).max(MOST_TOKENS).optional(),
  /** How many of the prompt's tokens the usage calls cached, at most all of them. */
  cachedTokens: z.int().min(0).max(MOST_TOKENS).optional(),
  /** How many of the others it says were written to the cache; told by Anthropic alone. */
  cacheWriteTokens: z.int().min(0).max(MOST_TOKENS).optional(),
  fault: z.enum(FAULTS).optional(),
  /** Tokens before a fault in the middle; absent: two thirds of the answer. */
  faultAfter: z.int().min(0).max(MOST_TOKENS).optional(),
  /** HTTP status of the fault `status`, which it implies; what the error of `error-body` and the like speaks of. */
  status: z.int().min(400).max(599).optional(),
  /** Seconds to wait after the fault `status`: in the header `retry-after`, with Gemini in the body of a 429. */
  retryAfter: z.int().min(0).max(A_DAY_S).optional(),
  /** The fault happens to so many requests of its scenario, and not to those after them. */
  times: z.int().min(1).max(MOST_TIMES).optional(),
  /** The fault happens for so long from the first request of its scenario on, and not afterwards. */
  forMs: z
    .int()
    .min(1)
    .max(A_DAY_S * 1000)
    .optional(),
  /** Names the requests that `times` and `forMs` count together; absent: those for a model of the same name. */
  scenario: z
    .string()
    .regex(/^[\w.-]{1,64}$/, 'expected 1 to 64 letters, digits, "_", "." or "-"')
    .optional(),
});

/** How the sandbox is asked to behave for one request. */
export type Controls = z.infer<typeof controls>;

const NONE: Controls = {};
/** Controls that are not numbers. */
const TEXTS: ReadonlySet<string> = new Set(['fault', 'scenario']);

/**
 * The controls of a request. A member of the body wins over the same one in the header, and that over the model's name.
 * @param member `sandbox` of the body: an object, or absent.
 * @param header `x-sandbox`: `latencyMs=20;fault=stall`, or absent.
 * @param named what stands behind the model's name, written as in the header; empty for nothing.
 * @throws ValidationError for an unknown control and for a value outside its limits.
 */
export function parseControls(member: unknown, header: string | undefined, named: string): Controls {
  if (member === undefined && header === undefined && named === '') return NONE;
  if (member !== undefined && (typeof member !== 'object' || member === null || Array.isArray(member))) {
    throw invalid('sandbox', 'expected an object');
  }
  const parsed = controls.safeParse({ ...parsePairs(named), ...parsePairs(header), ...member });
  if (!parsed.success) throw firstIssue(parsed.error, 'sandbox');
  return parsed.data;
}

function parsePairs(text = ''): Record<string, string | number> {
  return Object.fromEntries(
    text
      .split(';')
      .filter((pair) => pair.trim())
      .map(parsePair),
  );
}

function parsePair(pair: string): [string, string | number] {
  const [name = '', value = '', ...rest] = pair.split('=').map((side) => side.trim());
  if (!name || !value || rest.length > 0) {
    throw invalid('sandbox', `expected name=value, got "${shorten(pair)}"`);
  }
  return [name, TEXTS.has(name) ? value : Number(value)];
}
