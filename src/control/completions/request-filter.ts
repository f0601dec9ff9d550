import type { Caller } from '../../gateway/admission/caller.ts';
import type { ValidationIssue } from '../../platform/errors.ts';
import { type CompletionFilter, visibleFilter } from './filter.ts';

/** Ids carry the time at which they were made; a row's own time is at most this far from it. */
const CLOCK_MARGIN_MS = 60_000;
/** The last time a UUIDv7 can carry. */
const LAST_MS = 2 ** 48 - 1;

export interface RequestFilter extends CompletionFilter {
  search?: string | null | undefined;
  from?: Date | null | undefined;
  to?: Date | null | undefined;
}

/** A part of a WHERE clause; its parameters are numbered from $1. */
export interface Condition {
  sql: string;
  values: unknown[];
}

/**
 * The requests that `caller` may see and `filter` asks for, as a condition on the table completions.
 * @throws ValidationError for malformed ids and times, ForbiddenError when a user asks for another's requests.
 */
export function requestCondition(caller: Caller, filter: RequestFilter, after: string | null): Condition {
  const { userId: owner } = visibleFilter(caller, filter, issuesOf(filter));
  const parts: string[] = [];
  const values: unknown[] = [];
  const require = (sql: string, value: unknown) => {
    values.push(value);
    parts.push(sql.replaceAll('?', `$${values.length}`));
  };
  if (owner) require('user_id = ?', owner);
  if (filter.status) require('status = ?::"RequestStatus"', filter.status);
  if (filter.provider) require('provider_slug = ?', storable(filter.provider));
  if (filter.model) require('model = ?', storable(filter.model));
  if (filter.route) require('route_slug = ?', storable(filter.route));
  if (filter.apiKeyId) require('api_key_id = ?', filter.apiKeyId);
  if (filter.search) addSearch(filter.search, require);
  // The bounds on the id are what lets Postgres leave whole partitions aside.
  if (filter.from) {
    require('id >= ?', firstId(filter.from.getTime() - CLOCK_MARGIN_MS));
    require('started_at >= ?', filter.from);
  }
  if (filter.to) {
    require('id < ?', firstId(filter.to.getTime() + CLOCK_MARGIN_MS));
    require('started_at < ?', filter.to);
  }
  if (after) require('id < ?', after);
  return { sql: parts.join(' AND ') || 'true', values };
}

function addSearch(search: string, require: (sql: string, value: unknown) => void): void {
  const pattern = `%${storable(search).replace(/[\\%_]/g, '\\$&')}%`;
  require(`(id::text ILIKE ? OR error_code ILIKE ? OR error_message ILIKE ?
      OR EXISTS (SELECT 1 FROM jsonb_each_text(tags) AS tag WHERE tag.key ILIKE ? OR tag.value ILIKE ?))`, pattern);
}

function issuesOf(filter: RequestFilter): ValidationIssue[] {
  const issues: ValidationIssue[] = [];
  if (filter.search && filter.search.length > 200)
    issues.push({ path: 'filter.search', message: 'must be at most 200 characters' });
  if (filter.from && filter.to && filter.from >= filter.to)
    issues.push({ path: 'filter.to', message: 'must be after from' });
  return issues;
}

/** The smallest UUID of those that carry this time, in ms since 1970. */
function firstId(ms: number): string {
  const hex = Math.min(Math.max(Math.trunc(ms), 0), LAST_MS)
    .toString(16)
    .padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** Postgres refuses texts with NUL, and no row has one. */
function storable(text: string): string {
  return text.replaceAll('\0', '\ufffd');
}
