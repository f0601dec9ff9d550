import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Sandbox } from '../../../src/gateway/upstream/sandbox/sandbox.ts';

/** What a provider may be up to between two spells in which it is well. */
const STORMS = [
  'status=500',
  'status=503',
  'status=429',
  'status=429;retryAfter=1',
  'fault=reset',
  'fault=silent',
  'fault=slow-first-token;firstTokenMs=400',
  'fault=cut',
  'fault=end',
  'fault=stall',
  'fault=mid-error',
  'fault=error-event',
  'fault=error-body',
  'fault=malformed',
  'fault=no-done',
] as const;

const LONGEST_STORM_MS = 600;
const LONGEST_CALM_MS = 2_400;

/** A way to a sandbox on which the weather may change at random: every request has the weather of its time. */
export interface Weather {
  /** The address of the sandbox's own dialect, by this way. */
  url: string;
  /** Requests that came this way. */
  calls(): number;
  /** It changes from now on. */
  begin(): void;
  /** It stays fine from now on. */
  clear(): void;
  close(): Promise<void>;
}

/** @param random numbers in [0, 1) */
export async function startWeather(sandbox: Sandbox, base: string, random: () => number): Promise<Weather> {
  let now = '';
  let calls = 0;
  const change = () => {
    now = now === '' ? (STORMS[Math.floor(random() * STORMS.length)] ?? '') : '';
    timer = setTimeout(change, random() * (now === '' ? LONGEST_CALM_MS : LONGEST_STORM_MS));
  };
  let timer: NodeJS.Timeout | undefined;
  const server = createServer({ keepAliveTimeout: 120_000 }, (request, response) => {
    calls++;
    pass(request, response, sandbox.port, now);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: base.replace(`:${sandbox.port}`, `:${port}`),
    calls: () => calls,
    begin: change,
    clear() {
      clearTimeout(timer);
      now = '';
    },
    async close() {
      clearTimeout(timer);
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Hands a request on with a word about the weather. What breaks on one side breaks on the other. */
function pass(request: IncomingMessage, response: ServerResponse, port: number, weather: string): void {
  const controls = [request.headers['x-sandbox'], weather].filter(Boolean).join(';');
  const headers = { ...request.headers, ...(controls && { 'x-sandbox': controls }) };
  const onward = send({ host: '127.0.0.1', port, path: request.url, method: request.method, headers });
  const breakOff = () => request.socket.resetAndDestroy();
  onward.on('error', breakOff);
  onward.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    answer.on('error', breakOff);
    answer.pipe(response);
  });
  response.on('close', () => onward.destroy());
  request.pipe(onward);
}
