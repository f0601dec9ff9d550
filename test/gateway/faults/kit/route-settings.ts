import type { RouteEntry } from '../../../../src/gateway/snapshot/snapshot.ts';
import type { TestServer } from '../../../kit/server.ts';

/** What a route says of failing. */
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

const COLUMNS: Readonly<Record<keyof RouteSettings, string>> = {
  maxRetries: 'max_retries',
  totalTimeoutMs: 'total_timeout_ms',
  firstTokenTimeoutMs: 'first_token_timeout_ms',
  stallTimeoutMs: 'stall_timeout_ms',
  fallbacks: 'fallbacks',
  restartPolicy: 'restart_policy',
  refusalPolicy: 'refusal_policy',
};

/** Changes a route, and returns once the server goes by it. */
export async function setRoute({ services }: TestServer, slug: string, settings: RouteSettings): Promise<void> {
  const names = Object.keys(settings) as (keyof RouteSettings)[];
  if (names.length === 0) return;
  const changes = names.map((name, index) => {
    const type = name.endsWith('Policy') ? `::"${name === 'restartPolicy' ? 'RestartPolicy' : 'RefusalPolicy'}"` : '';
    return `${COLUMNS[name]} = $${index + 2}${type}`;
  });
  const values = names.map((name) => settings[name]);
  await services.pool.query(`UPDATE routes SET ${changes.join(', ')} WHERE slug = $1`, [slug, ...values]);
  const { rows } = await services.pool.query<{ version: string }>(
    'UPDATE configuration SET version = version + 1 RETURNING version',
  );
  await services.snapshots.atLeast(BigInt(rows[0]?.version ?? 0));
}
