import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { handleProtocols } from 'graphql-ws';
import { WebSocketServer } from 'ws';
import type { Services } from '../../control/schema/context.ts';
import { AuthenticationError } from '../../platform/errors.ts';
import { clientAddress } from '../client-address.ts';
import { declineUpgrade } from '../decline-upgrade.ts';
import { isAllowedOrigin } from './origin.ts';
import { CLOSE, type Client, createSocketServer } from './socket.ts';
import type { Pipeline } from './yoga.ts';

const LARGEST_MESSAGE_BYTES = 4 * 1024 * 1024;
const SOCKETS_PER_ADDRESS = 1_000;
/** A socket that does not answer a ping until the next one is cut. */
const PING_MS = 12_000;
/** How soon a socket is closed after its token expired or its key was revoked. */
const SESSION_CHECK_MS = 1_000;
/** How long clients may take to answer the closing. */
const CLOSE_MS = 1_000;

/** GraphQL over WebSocket (protocol graphql-transport-ws) at `/graphql`. */
export function createWebSockets(pipeline: Pipeline, services: Services) {
  const { settings, log } = services;
  const clients = new Set<Client>();
  const socketServer = createSocketServer(pipeline, services);
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: Math.min(settings.bodyLimitBytes, LARGEST_MESSAGE_BYTES),
    handleProtocols,
  });
  const servers = new Set<Server>();
  const timers = [setInterval(ping, PING_MS), setInterval(checkSessions, SESSION_CHECK_MS)];
  for (const timer of timers) timer.unref();

  function upgrade(this: Server, request: IncomingMessage, stream: Duplex, head: Buffer): void {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      declineUpgrade(this, request, stream, head);
      return;
    }
    stream.on('error', (error) => log.debug({ err: error }, 'a socket failed while it was opened'));
    const address = clientAddress(request, settings);
    const refusal = refusalOf(request, address);
    if (refusal) {
      stream.end(`HTTP/1.1 ${refusal} ${STATUS_CODES[refusal]}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
      return;
    }
    webSockets.handleUpgrade(request, stream, head, (socket) => {
      const client: Client = { socket, request, address, session: null, isAlive: true };
      clients.add(client);
      socket.on('pong', () => {
        client.isAlive = true;
      });
      socket.once('close', () => clients.delete(client));
      socketServer.open(client);
    });
  }

  /** The HTTP status to refuse an upgrade with; null: it is welcome. */
  function refusalOf(request: IncomingMessage, address: string): number | null {
    if (request.url?.split('?')[0] !== '/graphql') return 404;
    if (!isAllowedOrigin(request, settings)) return 403;
    return countSockets(address) >= SOCKETS_PER_ADDRESS ? 429 : null;
  }

  function countSockets(address: string): number {
    let count = 0;
    for (const client of clients) if (client.address === address) count += 1;
    return count;
  }

  function ping(): void {
    for (const client of clients) {
      if (!client.isAlive) client.socket.terminate();
      client.isAlive = false;
      if (client.socket.readyState === client.socket.OPEN) client.socket.ping();
    }
  }

  function checkSessions(): void {
    for (const client of clients) void checkSession(client);
  }

  async function checkSession({ session, socket }: Client): Promise<void> {
    try {
      await session?.renew();
    } catch (error) {
      // Any other failure means that it could not be checked now; operations are refused on their own.
      if (error instanceof AuthenticationError) socket.close(CLOSE.forbidden, 'Forbidden');
    }
  }

  return {
    /** Takes the upgrades of a server. */
    attach(server: Server): void {
      servers.add(server);
      server.on('upgrade', upgrade);
    },
    /** Takes no more sockets and closes those there are, which ends their operations. */
    async dispose(): Promise<void> {
      for (const timer of timers) clearInterval(timer);
      for (const server of servers) server.off('upgrade', upgrade);
      const closing = [...clients].map(({ socket }) => new Promise((resolve) => socket.once('close', resolve)));
      for (const { socket } of clients) socket.close(CLOSE.goingAway, 'Going away');
      const giveUp = setTimeout(() => {
        for (const { socket } of clients) socket.terminate();
      }, CLOSE_MS);
      await Promise.all(closing);
      clearTimeout(giveUp);
    },
  };
}
