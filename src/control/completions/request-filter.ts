import type { Caller } from '../../gateway/admission/caller.ts';
import type { ValidationIssue } from '../../platform/errors.ts';
import { firstUuidAt } from '../../platform/ids.ts';
import { storable } from '../../platform/storable.ts';
import { containsPattern } from '../schema/contains-pattern.ts';
import { type CompletionFilter, visibleFilter } from './filter.ts';
import type { LoggedRequest } from './logged-request.ts';

/** Ids carry the time at which they were made; a row's own time is at most this far from it. */
const CLOCK_MARGIN_MS = 60_000;

export interface RequestFilter extends CompletionFilter {
  search?: string | null | undefined;
  from?: Date | null | undefined;
  to?: Date | null | undefined;
}

/** A condition on the table completions, in which each `?` is the value. */
export interface Clause {
  sql: string;
  value: unknown;
}

/** The same condition for Postgres and for a request in memory. */
export interface RequestClause extends Clause {
  fits: (request: LoggedRequest) => boolean;
}

/** A part of a WHERE clause; its parameters are numbered from $1. */
export interface Condition {
  sql: string;
  values: unknown[];
}

/**
 * The requests that `caller` may see and `filter` asks for: those that fit all clauses.
 * @throws ValidationError for malformed ids and times, ForbiddenError when a user asks for another's requests.
 */
export function requestClauses(caller: Caller, filter: RequestFilter): RequestClause[] {
  const { userId, apiKeyId, status, provider, model, route, variant } = visibleFilter(caller, filter, issuesOf(filter));
  const clauses: RequestClause[] = [];
  const equal = (column: string, wanted: string | null | undefined, of: (request: LoggedRequest) => string | null) => {
    if (!wanted) return;
    const value = storable(wanted);
    clauses.push({ sql: `${column} = ?`, value, fits: (request) => of(request) === value });
  };
  equal('user_id', userId?.toLowerCase(), (request) => request.userId);
  equal('api_key_id', apiKeyId?.toLowerCase(), (request) => request.apiKeyId);
  equal('status', status, (request) => request.status);
  equal('provider_slug', provider, (request) => request.provider);
  equal('model', model, (request) => request.model);
  equal('target_id', variant?.toLowerCase(), (request) => request.targetId);
  equal('route_slug', route, (request) => request.route);
  if (filter.search) clauses.push(searchClause(filter.search));
  if (filter.from) clauses.push(...fromClauses(filter.from));
  if (filter.to) clauses.push(...toClauses(filter.to));
  return clauses;
}

/** All of these at once. */
export function conditionOf(clauses: readonly Clause[]): Condition {
  const parts = clauses.map(({ sql }, index) => sql.replaceAll('?', `$${index + 1}`));
  return { sql: parts.join(' AND ') || 'true', values: clauses.map(({ value }) => value) };
}

/** Postgres folds letters as its locale says; only of A to Z is that known, so they alone fit in either case. */
function searchClause(search: string): RequestClause {
  const folded = foldCase(storable(search));
  return {
    sql: `(id::text ILIKE ? COLLATE "C" OR error_code ILIKE ? COLLATE "C" OR error_message ILIKE ? COLLATE "C"
      OR EXISTS (SELECT 1 FROM jsonb_each_text(tags) AS tag
                  WHERE tag.key ILIKE ? COLLATE "C" OR tag.value ILIKE ? COLLATE "C"))`,
    value: containsPattern(search),
    fits: ({ id, errorCode, errorMessage, tags }) =>
      [id, errorCode ?? '', errorMessage ?? '', ...Object.entries(tags).flat()].some((one) =>
        foldCase(one).includes(folded),
      ),
  };
}

/** The bounds on the id are what lets Postgres leave whole partitions aside. */
function fromClauses(from: Date): RequestClause[] {
  const first = firstUuidAt(from.getTime() - CLOCK_MARGIN_MS);
  return [
    { sql: 'id >= ?', value: first, fits: ({ id }) => id >= first },
    { sql: 'started_at >= ?', value: from, fits: ({ startedAt }) => startedAt >= from },
  ];
}

function toClauses(to: Date): RequestClause[] {
  const end = firstUuidAt(to.getTime() + CLOCK_MARGIN_MS);
  return [
    { sql: 'id < ?', value: end, fits: ({ id }) => id < end },
    { sql: 'started_at < ?', value: to, fits: ({ startedAt }) => startedAt < to },
  ];
}

function issuesOf(filter: RequestFilter): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  if (filter.search && filter.search.length > 200)
    issues.push({ path: 'filter.search', message: 'must be at most 200 characters' });
  if (filter.from && filter.to && filter.from >= filter.to)
    issues.push({ path: 'filter.to', message: 'must be after from' });
  return issues;
}

function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
