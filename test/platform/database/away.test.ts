import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, expect, inject, onTestFinished, test } from 'vitest';
import { isDatabaseAway } from '../../../src/platform/database/away.ts';
import { createPool, type DatabaseConnection } from '../../../src/platform/database/connection.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { deadAddress } from '../../control/providers/kit.ts';
import { createDatabase } from '../../kit/database.ts';

/** The errors of each way to ask a database. */
async function errorsOf(connection: DatabaseConnection): Promise<unknown[]> {
  const prisma = createPrisma(connection, 4);
  const pool = createPool(connection, { max: 1, applicationName: 'test' });
  const asked = await Promise.allSettled([
    prisma.$queryRaw`SELECT 1`,
    prisma.user.findMany(),
    prisma.$transaction((tx) => tx.user.count()),
    pool.query('SELECT 1'),
  ]);
  await prisma.$disconnect();
  await pool.end();
  return asked.map((one) => (one.status === 'rejected' ? one.reason : 'an answer'));
}

/** A port where somebody listens who is no Postgres. */
async function strangePort(onConnection: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

describe('the database is away when', () => {
  test.each<[string, () => Promise<{ host: string; port: number }>]>([
    ['its socket is not there', async () => ({ host: '/tmp/no-such-folder', port: 5432 })],
    ['nobody listens', async () => ({ host: '127.0.0.1', port: Number(new URL(await deadAddress()).port) })],
    ['connections are cut', async () => ({ host: '127.0.0.1', port: await strangePort((socket) => socket.destroy()) })],
    [
      'nobody answers',
      async () => ({
        host: '127.0.0.1',
        port: await strangePort((socket) => {
          setTimeout(() => socket.destroy(), 8_000);
        }),
      }),
    ],
  ])('%s', async (_why, address) => {
    const errors = await errorsOf({ ...(await address()), user: 'x', database: 'x' });
    expect(errors.map(isDatabaseAway)).toEqual([true, true, true, true]);
  });

  test('it ends a connection in the middle of a statement', async () => {
    const database = await createDatabase();
    const pool = createPool(database.connection, { max: 1, applicationName: 'test' });
    const error = await pool.query('SELECT pg_terminate_backend(pg_backend_pid())').catch((reason) => reason);
    expect(isDatabaseAway(error)).toBe(true);
    await pool.end();
    await database.drop();
  });
});

test('what is wrong with a statement is no sign of that', async () => {
  const prisma = createPrisma(inject('postgres'), 1);
  const error = await prisma.$queryRaw`SELECT nothing FROM nowhere`.catch((reason) => reason);
  await prisma.$disconnect();
  expect(
    [error, Object.assign(new Error('No such file.'), { code: 'ENOENT' }), 'ECONNREFUSED'].map(isDatabaseAway),
  ).toEqual([false, false, false]);
});
