import type pg from 'pg';

/**
 * Does some work in one transaction on a connection of its own. An error takes everything back.
 * @throws what the work throws, and what Postgres says.
 */
export async function inTransaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failure: unknown = null;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    // What cannot be rolled back must not serve anybody else.
    await client.query('ROLLBACK').catch((cause: unknown) => {
      failure = cause;
    });
    throw error;
  } finally {
    client.release(failure !== null);
  }
}
