import { finished } from 'node:stream/promises';
import type pg from 'pg';
import { from } from 'pg-copy-streams';

/** Columns with their types; a value of jsonb is any JSON, one of text[] an array of texts. */
type Columns<Name extends string> = Readonly<Record<Name, string>>;

/** Rows as the text that COPY takes. */
export function copyText<Name extends string>(
  columns: Columns<Name>,
  rows: readonly Readonly<Record<Name, unknown>>[],
): string {
  const typed = Object.entries(columns) as [Name, string][];
  return rows.map((row) => `${typed.map(([name, type]) => cell(row[name], type)).join('\t')}\n`).join('');
}

/**
 * Adds rows to a table by COPY, for which Postgres does about half of the work of an insert. It fails where a row is there
 * already.
 * @param text of `copyText`; it is on its way when this returns
 */
export async function copyRows(client: pg.ClientBase, table: string, columns: object, text: string): Promise<void> {
  if (text === '') return;
  const copying = client.query(from(`COPY ${table} (${Object.keys(columns).join(', ')}) FROM STDIN`));
  copying.end(text);
  await finished(copying);
}

function cell(value: unknown, type: string): string {
  if (value === null || value === undefined) return '\\N';
  switch (type) {
    case 'text':
      return escaped(String(value));
    case 'jsonb':
      return escaped(JSON.stringify(value));
    case 'text[]':
      return escaped(`{${(value as string[]).map((text) => `"${escapedInArray(text)}"`).join(',')}}`);
    default:
      return String(value);
  }
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

function escaped(text: string): string {
  return /[\\\t\n\r]/.test(text) ? text.replace(/[\\\t\n\r]/g, (found) => ESCAPES[found] as string) : text;
}

function escapedInArray(text: string): string {
  return text.replace(/[\\"]/g, '\\$&');
}
