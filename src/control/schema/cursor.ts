import { z } from 'zod';
import { invalid } from '../../platform/errors.ts';
import { isUuid } from '../../platform/ids.ts';

/** Where a row stands in a sorted list: the value that is sorted by, as text (null: it has none), then the id. */
export interface Position {
  value: string | null;
  id: string;
}

export interface CursorRules {
  /** Names the order with its direction; cursors of another one are refused. */
  order: string;
  /** Whether a cursor of this order may hold the value. Cursors come from clients, who may have made them up. */
  isValue: (value: string) => boolean;
}

const LONGEST_CURSOR = 1_000;
const cursorParts = z.tuple([z.string(), z.string().nullable(), z.string().refine(isUuid)]);

export function encodeCursor(order: string, { value, id }: Position): string {
  return Buffer.from(JSON.stringify([order, value, id])).toString('base64url');
}

/** @throws ValidationError when it is no cursor, or one of another order. */
export function decodeCursor(cursor: string, rules: CursorRules): Position {
  const parts = cursorParts.safeParse(cursor.length <= LONGEST_CURSOR ? readJson(cursor) : null);
  if (parts.success) {
    const [order, value, id] = parts.data;
    if (order === rules.order && (value === null || rules.isValue(value))) return { value, id };
  }
  const message = 'is not a cursor of this list in this order; pass pageInfo.endCursor of the page before';
  throw invalid('after', message);
}

function readJson(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString());
  } catch {
    return null;
  }
}
