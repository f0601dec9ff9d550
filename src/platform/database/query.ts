/** Sends one statement with its parameters, over whatever connection or transaction is behind it. */
export type Query = (sql: string, values: unknown[]) => Promise<unknown>;
