import { connect, type Socket } from 'node:net';
import { expect } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { startServer, type TestServer } from '../kit/server.ts';

/** What no answer may ever show: stacks, statements, file paths, and the names of what Signalbox is built from. */
const INTERNALS =
  /prisma|postgres|fastify|FST_|undici|UND_ERR|pothos|node_modules|node:internal|\.[cm]?[jt]s:\d+|\n\s+at |stack"/i;
/** Statements are written in capitals; in small letters the words are English, or a client's own. */
const STATEMENTS = /\b(SELECT|INSERT|UPDATE)\b.+\b(FROM|INTO|SET)\b/;

/** Statuses that only an upstream's fault, or a full server, may bring about. */
const UPSTREAM_STATUSES = [502, 503, 504];

export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** A server that limits nobody by address, so that thousands of wrong requests are all looked at. */
export async function startTarget(): Promise<TestServer> {
  return startServer({ rateLimitPerMinute: 0 });
}

export function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => resolve(socket));
    socket.once('error', reject);
  });
}

/**
 * Writes bytes and returns what came back: until the server closed, or until it was quiet for `quietMs` after its first
 * byte. Fails when nothing at all came within `limitMs` and the socket stayed open.
 */
export async function exchange(url: string, bytes: string | Buffer, quietMs = 60, limitMs = 10_000): Promise<string> {
  const socket = await openSocket(url);
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => finish(new Error('neither an answer nor an end')), limitMs);
    let quiet: NodeJS.Timeout | undefined;
    function finish(error?: Error): void {
      clearTimeout(limit);
      clearTimeout(quiet);
      socket.destroy();
      if (error) reject(error);
      else resolve(Buffer.concat(chunks).toString('latin1'));
    }
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      clearTimeout(quiet);
      quiet = setTimeout(finish, quietMs);
    });
    // A reset after an early answer takes nothing away from that answer.
    socket.on('error', () => finish());
    socket.on('close', () => finish());
    socket.write(bytes);
  });
}

/** The answers in what a socket sent, by their content-length. */
export function parseAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  let rest = text;
  while (rest.startsWith('HTTP/1.1 ')) {
    const headEnd = rest.indexOf('\r\n\r\n');
    const [statusLine = '', ...lines] = rest.slice(0, headEnd).split('\r\n');
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    );
    const start = headEnd + 4;
    const status = Number(statusLine.split(' ')[1]);
    const length = headers['content-length'] === undefined ? undefined : Number(headers['content-length']);
    const end = status === 100 ? start : length === undefined ? rest.length : start + length;
    answers.push({ status, headers, body: rest.slice(start, end) });
    rest = rest.slice(end);
  }
  return answers;
}

export async function sendRaw(url: string, bytes: string | Buffer): Promise<RawAnswer[]> {
  return parseAnswers(await exchange(url, bytes));
}

/** Codes of all the errors in a GraphQL or OpenAI answer, wherever they stand. */
export function codesIn(body: string): string[] {
  return [...body.matchAll(/"code":\s*"([A-Za-z_]+)"/g)].map(([, code = '']) => code.toUpperCase());
}

export function expectClean(text: string, what: unknown): void {
  const found = text.includes(process.cwd()) ? [process.cwd()] : (INTERNALS.exec(text) ?? STATEMENTS.exec(text));
  if (found) expect.fail(`${describe(what)} was told ${JSON.stringify(found[0])}: ${text.slice(0, 400)}`);
}

/** No fault of ours: never a 5xx, never INTERNAL, nothing of the inside; and whoever is refused learns a code. */
export function expectCivil({ status, body }: { status: number; body: string }, what: unknown): void {
  expectClean(body, what);
  const codes = codesIn(body);
  const said = `${describe(what)} → ${status} ${body.slice(0, 400)}`;
  if (codes.includes('INTERNAL')) expect.fail(said);
  if (status >= 500 && !UPSTREAM_STATUSES.includes(status)) expect.fail(said);
  if (status >= 400 && codes.length === 0) expect.fail(`no code: ${said}`);
}

/** Refused, by the client's own fault, and with a code. */
export function expectRefused(answer: { status: number; body: string }, what: unknown): void {
  expectCivil(answer, what);
  if (answer.status < 400 || answer.status >= 500) {
    expect.fail(`not refused: ${describe(what)} → ${answer.status} ${answer.body.slice(0, 400)}`);
  }
}

/** The whole body of an answer; of a stream of events, which may never end, what comes within `listenMs`. */
export async function readAnswer(response: Response, leave: AbortController, listenMs: number): Promise<string> {
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return response.text();
  const timer = setTimeout(() => leave.abort(), listenMs);
  let text = '';
  try {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk as Uint8Array, { stream: true });
  } catch (error) {
    if (!leave.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  return text;
}

/** A completion that asks for nothing special is answered. */
export async function expectServing(server: TestServer): Promise<string> {
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'Are you well?' }] }),
  });
  expect([response.status, await response.text()]).toEqual([200, expect.stringContaining('"choices"')]);
  return response.headers.get('x-signalbox-request-id') ?? '';
}

/** Collects what nobody caught, from now on. */
export function watchFaults(): { faults: unknown[]; stop(): void } {
  const faults: unknown[] = [];
  const note = (fault: unknown) => faults.push(fault);
  process.on('unhandledRejection', note);
  process.on('uncaughtException', note);
  return {
    faults,
    stop() {
      process.off('unhandledRejection', note);
      process.off('uncaughtException', note);
    },
  };
}

/** After all that was done to it the server serves, its ledger is not stuck, and nothing was left running or uncaught. */
export async function expectUnharmed(server: TestServer, watch: { faults: unknown[] }): Promise<void> {
  const id = await expectServing(server);
  await eventually(async () => {
    const { data } = await server.query<{ request: { status: string } | null }, object>(
      'query($id: ID!) { request(id: $id) { status } }',
      { id },
    );
    expect(data.request?.status).toBe('SUCCEEDED');
  });
  expect(server.services.ledger.status().lastError).toBeNull();
  await eventually(() => expect(server.services.gateway.running).toBe(0));
  expect(watch.faults).toEqual([]);
}

function describe(what: unknown): string {
  const text = typeof what === 'string' ? what : JSON.stringify(what);
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length})` : text;
}
