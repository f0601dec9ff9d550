import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { Services } from '../../src/control/schema/context.ts';
import { start } from '../../src/main.ts';
import type { DatabaseConnection } from '../../src/platform/database/connection.ts';
import type { Log } from '../../src/platform/log.ts';
import { readSettings, type Settings } from '../../src/platform/settings.ts';
import { createDatabase } from './database.ts';

export const ADMIN = { email: 'admin@signalbox.local', password: 'correct horse battery' };

/** Signs the tokens of test servers. */
export const JWT_SECRET = 'a secret of the tests, which is long enough';

/** An admin API key of the admin. */
const API_KEY = `sbx_${'a'.repeat(40)}`;

/** What a request is signed in with; nothing: anonymous. */
export interface Credential {
  token?: string;
  apiKey?: string;
}

/** An answer over HTTP. */
export interface Answer<Data> {
  status: number;
  headers: Headers;
  data: Data;
  errors: readonly { message: string; path?: readonly (string | number)[]; extensions: Record<string, unknown> }[];
}

/** An operation as text; `graphql()` of test/generated types its result and variables. */
interface Operation<Data, Variables> {
  toString(): string;
  __apiType?: (variables: Variables) => Data;
}

export interface TestServer {
  url: string;
  services: Services;
  connection: DatabaseConnection;
  /** The admin's token. */
  admin: string;
  /** An admin API key of the admin. */
  apiKey: string;
  /** Sends an operation over HTTP; without a credential as the admin. */
  query<Data, Variables>(
    operation: Operation<Data, Variables> | string,
    variables?: Variables,
    credential?: Credential,
  ): Promise<Answer<Data>>;
  /** A graphql-ws client; without a credential the admin's. Ended with the server at the latest. */
  ws(credential?: Credential): Client;
  /** Stops the server, and drops its database unless it is another's. */
  close(): Promise<void>;
}

/** Starts the real server on a fresh database, with a free port; without `log` it logs nothing. */
export async function startServer(overrides: Partial<Settings> = {}, log?: Log): Promise<TestServer> {
  const database = await createDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'signalbox-test-'));
  const settings = readSettings({
    PORT: '0',
    DATA_DIR: dataDir,
    DATABASE_URL: database.url,
    JWT_SECRET,
    ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    BOOTSTRAP_API_KEY: API_KEY,
    LOG_LEVEL: 'silent',
    DATABASE_POOL_MAX: '8',
    // Tests count the calls that their upstreams get.
    PROVIDER_TESTS: 'off',
    PROVIDER_PROBE_INTERVAL_SECONDS: '0',
  });
  return serve({ ...settings, ...overrides }, log, database.connection, () => database.drop());
}

/** Starts one more server on the database of `server`; close it first. */
export async function startPeer(server: TestServer, overrides: Partial<Settings> = {}, log?: Log): Promise<TestServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'signalbox-test-'));
  const settings = { ...server.services.settings, dataDir, port: 0, sandboxPort: 0, ...overrides };
  return serve(settings, log, server.connection, async () => undefined);
}

async function serve(
  settings: Settings,
  log: Log | undefined,
  connection: DatabaseConnection,
  dropDatabase: () => Promise<void>,
): Promise<TestServer> {
  const running = await start(settings, log);
  const clients = new Set<Client>();
  const endpoint = `${running.url}/graphql`;
  const account = await running.services.prisma.user.findUniqueOrThrow({ where: { email: ADMIN.email } });
  const admin = await running.services.tokens.sign(account.id);

  return {
    url: running.url,
    services: running.services,
    connection,
    admin,
    apiKey: API_KEY,
    async query<Data, Variables>(
      operation: Operation<Data, Variables> | string,
      variables?: Variables,
      credential: Credential = { token: admin },
    ) {
      const response = await fetch(endpoint, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...authorization(credential) },
        body: JSON.stringify({ query: operation.toString(), variables }),
      });
      const { data, errors = [] } = (await response.json()) as Answer<Data>;
      return { status: response.status, headers: response.headers, data, errors };
    },
    ws(credential = { token: admin }) {
      const client = createClient({
        url: endpoint.replace('http', 'ws'),
        webSocketImpl: WebSocket,
        connectionParams: authorization(credential),
        retryAttempts: 0,
      });
      clients.add(client);
      return client;
    },
    async close() {
      for (const client of clients) await client.dispose();
      await running.close();
      await dropDatabase();
      await rm(settings.dataDir, { recursive: true, force: true });
    },
  };
}

function authorization({ token, apiKey }: Credential): Record<string, string> {
  const credential = token ?? apiKey;
  return credential ? { authorization: `Bearer ${credential}` } : {};
}
