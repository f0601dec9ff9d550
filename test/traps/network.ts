import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { DatabaseConnection } from '../../src/platform/database/connection.ts';

/** What begins a query in Postgres's protocol: the messages Q and P. */
const QUERY = [0x51, 0x50];

/** From when on a network swallows everything. */
export type Cut = 'the start' | 'the first query' | 'never';

/** A Postgres behind a network that swallows everything from some point on. It goes with `await using`. */
export async function startNetwork(postgres: DatabaseConnection, cutFrom: Cut) {
  const sockets = new Set<Socket>();
  const network = createServer((client) => {
    sockets.add(client);
    client.on('error', () => undefined);
    if (cutFrom === 'the start') return;
    const upstream = connect(`${postgres.host}/.s.PGSQL.${postgres.port}`);
    upstream.on('error', () => undefined);
    client.on('close', () => upstream.destroy());
    upstream.pipe(client);
    let isCut = false;
    client.on('data', (bytes) => {
      isCut ||= cutFrom === 'the first query' && QUERY.includes(bytes[0] ?? 0);
      if (!isCut) upstream.write(bytes);
    });
  });
  network.listen(0, '127.0.0.1');
  await once(network, 'listening');
  const { port } = network.address() as AddressInfo;
  return {
    connection: { ...postgres, host: '127.0.0.1', port } satisfies DatabaseConnection,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      network.close();
    },
  };
}
