import type { IncomingMessage } from 'node:http';
import type { Settings } from '../platform/settings.ts';

/**
 * The client's address. Behind a proxy (`TRUST_PROXY`) the last entry of X-Forwarded-For is taken: that one was written
 * by the proxy, the ones before it by whoever called.
 */
export function clientAddress(request: IncomingMessage, settings: Pick<Settings, 'trustProxy'>): string {
  const peer = request.socket.remoteAddress ?? 'unknown';
  if (!settings.trustProxy) return peer;
  const header = request.headers['x-forwarded-for'];
  const forwarded = (Array.isArray(header) ? header.join(',') : header)?.split(',').at(-1)?.trim();
  return forwarded || peer;
}
