import type pg from 'pg';

/** What is compared, of one moment. */
export interface Books {
  /** Sends a statement in the one transaction of all checks. */
  query<Row extends pg.QueryResultRow>(sql: string, values?: readonly unknown[]): Promise<Row[]>;
  /** When the transaction began, by the clock of Postgres. */
  now: Date;
  /** Rows from before it may have been deleted for their age, so that nothing from before is compared; null: none were. */
  since: Date | null;
  /** In which the periods of budgets begin. */
  timeZone: string;
}

/** What a check found. */
export interface Finding {
  /** What was compared. */
  name: string;
  /** The numbers of both sides, in a phrase. */
  sides: string;
  /** What does not agree, a phrase for each, up to `MOST_TOLD`; empty: everything does. */
  wrong: readonly string[];
}

export type Check = (books: Books) => Promise<readonly Finding[]>;

/** Of what is wrong so many are told: enough to see what it is about. */
export const MOST_TOLD = 5;

/** The first instant that is compared, as a parameter. */
export function sinceOf({ since }: Books): string {
  return since?.toISOString() ?? '-infinity';
}

/** Phrases for what is wrong; one more says how many there are beyond those. */
export function tell<Row>(rows: readonly Row[], phrase: (row: Row) => string): string[] {
  const told = rows.slice(0, MOST_TOLD).map(phrase);
  return rows.length > MOST_TOLD ? [...told, `and ${rows.length - MOST_TOLD} more`] : told;
}
