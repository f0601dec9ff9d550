import { pino } from 'pino';
import type { Settings } from './settings.ts';

export type Log = import('pino').Logger;

/** Members that never reach the log, wherever they are in the first three levels of an entry. */
const SECRETS = ['authorization', 'apiKey', 'api_key', 'x-api-key', 'password', 'token', 'key', 'secret', 'cookie'];

/** JSON lines on stdout. Bodies of completions are never logged. */
export function createLog(settings: Pick<Settings, 'logLevel'>, destination?: { write(line: string): void }): Log {
  const options = {
    level: settings.logLevel,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: SECRETS.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]),
      censor: '[redacted]',
    },
  };
  return destination ? pino(options, destination) : pino(options);
}
