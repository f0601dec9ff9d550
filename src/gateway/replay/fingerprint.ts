import { createHash } from 'node:crypto';
import { invalid } from '../../platform/errors.ts';
import type { Asked } from '../admission/admit.ts';
import type { CompletionRequest } from '../completion.ts';

/** No request that is meant nests deeper; what writes it out in order calls itself for each level. */
const DEEPEST = 500;

/** What a number as JavaScript reads it may not tell apart, and the provider does. */
const LONG_NUMBERS = /\d{16,}/g;

/**
 * SHA-256 (hex) of what was asked for: equal for requests that differ at most in the order of their members, in white
 * space, and in whether the answer is streamed.
 * @throws ValidationError for a body that nests too deeply
 */
export function fingerprintOf(request: CompletionRequest, asked: Asked): string {
  const { stream: _, stream_options: __, ...body } = 'chat' in asked ? asked.chat : { ...asked.embeddings };
  const { operation, tags, powerLevel = null, sessionKey = null, sandbox } = request;
  const digits = asked.bytes.toString('latin1').match(LONG_NUMBERS)?.sort() ?? [];
  const input = canonical({ operation, body, digits, tags, powerLevel, sessionKey, sandbox }, 0);
  return createHash('sha256').update(input).digest('hex');
}

/** JSON with the members of objects in order. */
function canonical(value: unknown, depth: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  if (depth > DEEPEST) throw invalid('', `The body nests deeper than ${DEEPEST} levels.`);
  if (Array.isArray(value)) return `[${value.map((one) => canonical(one, depth + 1)).join(',')}]`;
  const members = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
  return `{${members.map(([name, one]) => `${JSON.stringify(name)}:${canonical(one, depth + 1)}`).join(',')}}`;
}
