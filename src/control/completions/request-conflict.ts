import type { Pool } from 'pg';
import type { Caller } from '../../gateway/admission/caller.ts';
import { ConflictError } from '../../platform/errors.ts';
import { builder } from '../schema/builder.ts';
import type { LoggedRequest } from './logged-request.ts';
import { conditionOf } from './request-filter.ts';
import { Request } from './request-log.ts';
import { readRequests } from './request-rows.ts';

/**
 * The caller's completion that has the request id which is in conflict, as the ledger has it.
 * @returns null: there is none, or it is not on the ledger yet
 */
export async function conflictingRequest(
  { completionId }: ConflictError,
  caller: Caller,
  pool: Pool,
): Promise<LoggedRequest | null> {
  if (completionId === undefined || caller.kind === 'ANONYMOUS') return null;
  const own = [
    { sql: 'id = ?', value: completionId },
    { sql: 'user_id = ?', value: caller.account.id },
  ];
  return (await readRequests(pool, conditionOf(own), 'id DESC', 1))[0] ?? null;
}

builder.objectField(ConflictError, 'request', (t) =>
  t.field({
    type: Request,
    nullable: true,
    description:
      'Your completion that was made under the same `requestId`, as the ledger has it. Null: it is not on the ledger yet, or the conflict is about something else.',
    resolve: (error, _args, { caller, services }) => conflictingRequest(error, caller, services.pool),
  }),
);
