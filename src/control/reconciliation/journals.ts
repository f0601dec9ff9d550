import type { Check } from './check.ts';

/** Only told: what is behind a journal's position is known to the server that writes it; its `/health` says. */
export const tellJournals: Check = async ({ query }) => {
  const rows = await query<{ server: string; segment: string; offset: string; at: Date }>(
    `SELECT server_id AS server, segment::text, "offset"::text, updated_at AS at FROM ledger_positions ORDER BY updated_at DESC LIMIT 10`,
  );
  const told = rows.map(
    ({ server, segment, offset, at }) => `server ${server} up to ${segment}:${offset} at ${at.toISOString()}`,
  );
  return [{ name: 'journals', sides: told.join(', ') || 'none has been drained', wrong: [] }];
};
