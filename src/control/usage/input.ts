import { z } from 'zod';
import { isUuid } from '../../platform/ids.ts';
import { jsonObjectUpTo, text, whole } from '../schema/input-rules.ts';

export const LIMITS = {
  events: 1_000,
  metadataBytes: 16 * 1024,
  /** Over all events of one report: while they are indexed the ledger waits. */
  allMetadataBytes: 1024 * 1024,
  aheadMs: 5 * 60_000,
  ageMs: 366 * 86_400_000,
};

const MOST_TOKENS = 2 ** 31 - 1;
const tokens = whole(0, MOST_TOKENS);
const optionalTokens = tokens.nullish().transform((count) => count ?? null);

/** What evidence for an attempt does not bring: the attempt has it. */
const ONLY_OF_USAGE = ['timestamp', 'latencyMs', 'metadata', 'idempotencyKey'] as const;

const event = z
  .object({
    provider: text(100),
    model: text(200),
    inputTokens: tokens,
    outputTokens: tokens,
    cachedTokens: optionalTokens,
    cacheWriteTokens: optionalTokens,
    reasoningTokens: optionalTokens,
    latencyMs: optionalTokens,
    metadata: jsonObjectUpTo(LIMITS.metadataBytes).nullish(),
    timestamp: z.date().nullish(),
    idempotencyKey: text(200).nullish(),
    attemptId: z
      .string()
      .refine(isUuid, 'is not an id')
      .transform((id) => id.toLowerCase())
      .nullish(),
  })
  .superRefine((one, context) => {
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
    if ((one.cachedTokens ?? 0) + (one.cacheWriteTokens ?? 0) > one.inputTokens)
      issue('inputTokens', 'must include the cached and the cache-written tokens');
    if ((one.reasoningTokens ?? 0) > one.outputTokens) issue('outputTokens', 'must include the reasoning tokens');
    if (!one.attemptId) return;
    for (const name of ONLY_OF_USAGE)
      if (one[name] !== null && one[name] !== undefined) issue(name, 'must be left out with attemptId');
  });

/** @param oldest usage from before this is not taken, in milliseconds since 1970 */
export function trackUsageInput(now: number, oldest: number) {
  return z.object({
    events: z
      .array(event)
      .min(1, 'must be 1 to 1,000 events')
      .max(LIMITS.events, 'must be 1 to 1,000 events')
      .superRefine((events, context) => {
        const issue = (path: (string | number)[], message: string) =>
          context.addIssue({ code: 'custom', path, message });
        for (const [index, { timestamp }] of events.entries()) {
          if (!timestamp) continue;
          if (Number(timestamp) > now + LIMITS.aheadMs)
            issue([index, 'timestamp'], 'must not be more than 5 minutes ahead');
          if (Number(timestamp) < oldest)
            issue([index, 'timestamp'], `must not be before ${new Date(oldest).toISOString()}`);
        }
        const bytes = events.reduce(
          (sum, { metadata }) => sum + (metadata ? Buffer.byteLength(JSON.stringify(metadata)) : 0),
          0,
        );
        if (bytes > LIMITS.allMetadataBytes) issue([], 'must have at most 1 MiB of metadata together');
      }),
  });
}

export type TrackUsageInput = z.input<ReturnType<typeof trackUsageInput>>;
export type ReportedEvent = z.output<typeof event>;
