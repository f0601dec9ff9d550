import { Socket } from 'node:net';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { openLedger } from '../../src/gateway/ledger/ledger.ts';
import { PrismaClient } from '../../src/generated/prisma/client.ts';
import { createPool, type DatabaseConnection } from '../../src/platform/database/connection.ts';
import { migrate } from '../../src/platform/database/migrate.ts';
import { type Listener, listen } from '../../src/platform/database/notifications.ts';
import { createPrisma } from '../../src/platform/database/prisma.ts';
import { uuidv7 } from '../../src/platform/ids.ts';
import { createLog } from '../../src/platform/log.ts';
import { temporaryFolder } from '../kit/folder.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { settlesWithin } from './kit.ts';
import { type Cut, startNetwork } from './network.ts';

let server: TestServer;
const listeners: Listener[] = [];
beforeAll(async () => {
  server = await startServer();
});
afterAll(async () => {
  for (const listener of listeners) await listener.close();
  await server.close();
});

/** One page of a list of things that have names, behind a cursor. */
type ReadPage = (after: string | null) => Promise<{ names: string[]; cursor: string | null }>;

/** Reads two of five things, deletes the one that the cursor stands on, and reads on. */
async function readOn(readPage: ReadPage, remove: (name: string) => Promise<unknown>): Promise<string[]> {
  const { names, cursor } = await readPage(null);
  expect(names).toHaveLength(2);
  await remove(names[1] ?? '');
  return (await readPage(cursor)).names;
}

describe('a list is read on behind a row that was deleted meanwhile', () => {
  /** Five keys of the admin, the newest first. */
  async function makeKeys(): Promise<string[]> {
    const { prisma } = server.services;
    const { id: ownerId } = await prisma.user.findFirstOrThrow();
    await prisma.apiKey.deleteMany();
    const names = ['e', 'd', 'c', 'b', 'a'];
    for (const [index, name] of names.toReversed().entries()) {
      const hash = new Uint8Array([index]);
      await prisma.apiKey.create({ data: { id: uuidv7(), ownerId, name, hash, hint: '-' } });
    }
    return names;
  }
  const removeKey = (name: string) => server.services.prisma.apiKey.deleteMany({ where: { name } });

  test('and is empty with the stock cursor of Prisma', async () => {
    await makeKeys();
    const readPage: ReadPage = async (after) => {
      const rows = await server.services.prisma.apiKey.findMany({
        ...(after && { cursor: { id: after }, skip: 1 }),
        take: 2,
        orderBy: { id: 'desc' },
      });
      return { names: rows.map(({ name }) => name), cursor: rows.at(-1)?.id ?? null };
    };
    expect(await readOn(readPage, removeKey)).toEqual([]);
  });

  interface Connection {
    nodes: { name: string }[];
    pageInfo: { endCursor: string | null };
  }
  const ourPage =
    (field: string, filter: string): ReadPage =>
    async (after) => {
      const query = `query ($after: String) { ${field}(first: 2, after: $after ${filter}) { nodes { name } pageInfo { endCursor } } }`;
      const { data } = await server.query<Record<string, Connection>, object>(query, { after });
      const { nodes = [], pageInfo } = data[field] ?? {};
      return { names: nodes.map(({ name }) => name), cursor: pageInfo?.endCursor ?? null };
    };

  test('and goes on where it was in ours, in the order of ids', async () => {
    await makeKeys();
    expect(await readOn(ourPage('apiKeys', ''), removeKey)).toEqual(['c', 'b']);
  });

  test('and goes on where it was in ours, in another order', async () => {
    for (const name of ['b', 'd', 'a', 'e', 'c']) {
      await server.query('mutation ($input: CreateModelInput!) { createModel(input: $input) { __typename } }', {
        input: { provider: 'cohere', name: `model-${name}` },
      });
    }
    const filter = ', filter: { provider: "cohere", search: "model-" }, orderBy: { field: NAME, direction: DESC }';
    const remove = (name: string) => server.services.prisma.model.deleteMany({ where: { name } });
    expect(await readOn(ourPage('models', filter), remove)).toEqual(['model-c', 'model-b']);
  });
});

const log = createLog({ logLevel: 'silent' });
const none = () => undefined;
const options = { max: 1, applicationName: 'signalbox test', statementTimeoutMs: 100 };

/** Asks a database for something. */
type Ask = (connection: DatabaseConnection) => Promise<unknown>;

const stockPool: Ask = (connection) => new pg.Pool({ ...connection, max: 1 }).on('error', none).query('SELECT 1');
const ourPool: Ask = (connection) => createPool(connection, options).query('SELECT 1');
const stockPrisma: Ask = (connection) => new PrismaClient({ adapter: new PrismaPg(connection) }).provider.count();
const ourPrisma: Ask = (connection) => createPrisma(connection, 1).provider.count();
const ourListener: Ask = async (connection) => {
  listeners.push(await listen(connection, ['signalbox_test'], none, none));
};
const ourStart: Ask = (connection) => migrate(connection, log);
const ourLedger: Ask = async (connection) => {
  await using folder = await temporaryFolder();
  await openLedger({
    directory: folder.path,
    serverId: 'x',
    clusterId: 'x',
    connection,
    fsync: false,
    maxBytes: 1 << 30,
    timeZone: 'UTC',
    log,
  });
};
async function takeTwo(pool: pg.Pool): Promise<void> {
  const first = await pool.connect();
  first.on('error', none);
  await pool.connect();
}

interface Wait {
  ask: Ask;
  cutFrom: Cut;
  /** Why it gives up; null: it waits for ever. */
  gaveUp: RegExp | null;
}

const TIMEOUT = /time(d )?out/i;
const WAITS: Record<string, Wait> = {
  'a stock pool waits for ever for a connection that is never made': {
    ask: stockPool,
    cutFrom: 'the start',
    gaveUp: null,
  },
  'our pool gives up on it': { ask: ourPool, cutFrom: 'the start', gaveUp: TIMEOUT },
  'a stock Prisma client waits for ever for it, too': { ask: stockPrisma, cutFrom: 'the start', gaveUp: null },
  'our Prisma client gives up on it': { ask: ourPrisma, cutFrom: 'the start', gaveUp: TIMEOUT },
  'a stock pool waits for ever for an answer that the network swallows': {
    ask: stockPool,
    cutFrom: 'the first query',
    gaveUp: null,
  },
  'our pool gives up on it then, too': { ask: ourPool, cutFrom: 'the first query', gaveUp: TIMEOUT },
  'our listener gives up on it, and tries again later': {
    ask: ourListener,
    cutFrom: 'the first query',
    gaveUp: /resolved/,
  },
  'our server gives up on it while it starts': { ask: ourStart, cutFrom: 'the first query', gaveUp: TIMEOUT },
  'our ledger gives up on it while it opens': { ask: ourLedger, cutFrom: 'the first query', gaveUp: TIMEOUT },
  'a stock pool lets whoever comes when all its connections are taken wait for ever': {
    ask: (connection) => takeTwo(new pg.Pool({ ...connection, max: 1 })),
    cutFrom: 'never',
    gaveUp: null,
  },
  'our pool tells them after a while': {
    ask: (connection) => takeTwo(createPool(connection, options)),
    cutFrom: 'never',
    gaveUp: TIMEOUT,
  },
};

describe('when a database does not answer', () => {
  /** Ours give up after 5 s, and after 10 s where a server starts. */
  const PATIENCE_MS = 12_000;
  let outcomes: Record<string, Promise<string | null>>;

  beforeAll(() => {
    // All at once: the slowest is as long as it takes.
    const entries = Object.entries(WAITS).map(([name, wait]) => [name, outcomeOf(wait)] as const);
    outcomes = Object.fromEntries(entries);
  });

  async function outcomeOf({ ask, cutFrom }: Wait): Promise<string | null> {
    await using network = await startNetwork(server.connection, cutFrom);
    const startedAt = performance.now();
    const asked = ask(network.connection).then(() => 'resolved', String);
    if (!(await settlesWithin(asked, PATIENCE_MS))) return null;
    return performance.now() - startedAt < 1_000 ? `did not wait: ${await asked}` : asked;
  }

  test.each(Object.entries(WAITS))('%s', async (name, { gaveUp }) => {
    const outcome = await outcomes[name];
    if (gaveUp) expect(outcome).toMatch(gaveUp);
    else expect(outcome).toBeNull();
    expect(outcome ?? '').not.toContain('did not wait');
  });
});

describe('a connection that lies idle', () => {
  /** Whether the system asks now and then if the other side of a connection is still there. */
  async function isKeptAlive(ask: Ask): Promise<boolean> {
    await using network = await startNetwork(server.connection, 'never');
    using keepAlive = vi.spyOn(Socket.prototype, 'setKeepAlive');
    await ask(network.connection);
    return keepAlive.mock.calls.some(
      ([isOn], index) => isOn && (keepAlive.mock.contexts[index] as Socket).remotePort === network.connection.port,
    );
  }

  test('is not watched by a stock pool', async () => {
    expect(await isKeptAlive(stockPool)).toBe(false);
  });

  const watched: [string, Ask][] = [
    ['pool', ourPool],
    ['Prisma client', ourPrisma],
    ['listener', ourListener],
  ];
  test.each(watched)('is watched by our %s', async (_what, ask) => {
    expect(await isKeptAlive(ask)).toBe(true);
  });
});
