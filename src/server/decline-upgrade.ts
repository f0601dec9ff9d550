import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** Headers that belong to the offer alone. */
const OF_THE_OFFER = new Set(['upgrade', 'connection', 'http2-settings']);

/**
 * Serves a request as if it had not offered to change the protocol; RFC 9110, 7.8 lets a server ignore that. Java's HTTP
 * client, for one, offers h2c with every first request. Node takes the socket out of HTTP as soon as anybody listens for
 * upgrades, so the request is put together again without the offer, and the socket goes back.
 */
export function declineUpgrade(server: Server, request: IncomingMessage, stream: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request;
  const lines = [`${method} ${url} HTTP/${httpVersion}`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    if (!OF_THE_OFFER.has(name.toLowerCase())) lines.push(`${name}: ${rawHeaders[at + 1]}`);
  }
  if (/\bclose\b/i.test(request.headers.connection ?? '')) lines.push('connection: close');
  stream.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('connection', stream);
}
