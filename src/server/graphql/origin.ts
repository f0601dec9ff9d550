import type { IncomingMessage } from 'node:http';
import type { Settings } from '../../platform/settings.ts';

/** Whether a request comes from no browser, from a page of this server, or from an origin in `CORS_ORIGINS`. */
export function isAllowedOrigin(request: IncomingMessage, settings: Pick<Settings, 'corsOrigins'>): boolean {
  const { origin, host } = request.headers;
  if (!origin) return true;
  if (settings.corsOrigins.includes('*') || settings.corsOrigins.includes(origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === host;
}
