import type { RouteEntry } from '../../../../src/gateway/snapshot/snapshot.ts';

/** What a route says of failing, as `createRoute` takes it. */
export type RouteSettings = Partial<
  Pick<
    RouteEntry,
    | 'maxRetries'
    | 'totalTimeoutMs'
    | 'firstTokenTimeoutMs'
    | 'stallTimeoutMs'
    | 'fallbacks'
    | 'restartPolicy'
    | 'refusalPolicy'
  >
>;
