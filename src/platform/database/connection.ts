import { userInfo } from 'node:os';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import { parseIntoClientConfig } from 'pg-connection-string';
import type { Log } from '../log.ts';
import { SettingsError } from '../settings.ts';
import { StartError } from '../start-error.ts';

/** Where a Postgres database is, in single fields: the schema engine misreads a connection string. */
export interface DatabaseConnection {
  /** A host name or address, or the absolute path of the folder that holds the server's Unix socket. */
  host: string;
  port: number;
  user: string;
  database: string;
  password?: string;
  /** false: never TLS. Absent: as `PGSSLMODE` says, else none. */
  ssl?: boolean | ConnectionOptions;
  /** Command-line options for the session, such as `-c search_path=signalbox`. */
  options?: string;
}

export interface PoolOptions {
  /** Most connections. */
  max: number;
  /** Shown in `pg_stat_activity`. */
  applicationName: string;
  /** A statement that runs longer is cancelled. Default 30 seconds; 0: never. */
  statementTimeoutMs?: number;
  log?: Log;
}

/**
 * Takes a `postgresql://` address apart. Understands `?host=/folder/of/the/socket`, `sslmode`, `sslrootcert`,
 * `sslcert`, `sslkey` and `options`.
 * @throws SettingsError when it cannot be read. The message never holds the address, which may hold a password.
 */
export function parseDatabaseUrl(url: string): DatabaseConnection {
  let parsed: pg.ClientConfig;
  try {
    parsed = parseIntoClientConfig(url);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'ENOENT' || code === 'EACCES' ? 'a certificate file that it names cannot be read' : 'it is not';
    throw new SettingsError(`DATABASE_URL must be a postgresql:// address that can be used: ${why}.`);
  }
  const user = parsed.user || process.env.PGUSER || userInfo().username;
  return {
    host: parsed.host || 'localhost',
    port: parsed.port ?? 5432,
    user,
    database: parsed.database || user,
    ...(parsed.password ? { password: parsed.password as string } : {}),
    ...(parsed.ssl === undefined ? {} : { ssl: parsed.ssl }),
    ...(parsed.options ? { options: parsed.options } : {}),
  };
}

/**
 * Connects once to the database that DATABASE_URL names.
 * @throws StartError when that fails, with Postgres's or the system's reason.
 */
export async function assertReachable(connection: DatabaseConnection): Promise<void> {
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
  } catch (error) {
    // A name with several addresses fails without a message.
    const { message, code } = error as NodeJS.ErrnoException;
    throw new StartError(
      `The database of DATABASE_URL cannot be used (${message || code}); check the address, and that Postgres runs there.`,
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** What `pg.Pool` and the Prisma adapter take: the connection with limits on waiting, and keep-alive. */
export function poolConfig(connection: DatabaseConnection, options: PoolOptions): pg.PoolConfig {
  const statementTimeoutMs = options.statementTimeoutMs ?? 30_000;
  return {
    ...connection,
    max: options.max,
    application_name: options.applicationName,
    connectionTimeoutMillis: 5_000,
    idleTimeoutMillis: 30_000,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // The client's own limit is for a network that swallows the answer; the server's comes first otherwise.
    ...(statementTimeoutMs > 0
      ? { statement_timeout: statementTimeoutMs, query_timeout: statementTimeoutMs + 5_000 }
      : {}),
    idle_in_transaction_session_timeout: 60_000,
  };
}

/** A pool that waits at most 5 s for a connection, and survives the end of its idle ones. Close it with `end()`. */
export function createPool(connection: DatabaseConnection, options: PoolOptions): pg.Pool {
  const pool = new pg.Pool(poolConfig(connection, options));
  pool.on('error', (error) => {
    if (!pool.ending) options.log?.warn({ err: error.message }, 'an idle database connection ended');
  });
  // The pool listens to idle ones only: one that breaks between two statements of whoever holds it would end the process.
  // Its holder learns of it by the next statement.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}
