import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { ApolloClient } from '@apollo/client';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { until } from '../kit/eventually.ts';
import { API_KEY, DataFolder, type ServerProcess } from '../process/server-process.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const FOLDER = join(ROOT, 'test/generated/readme-clients');

interface Apollo {
  connect(token: string): Promise<ApolloClient>;
  watchMetrics(client: ApolloClient, show: (metrics: { summary: { requests: string } }) => void): unknown;
}
interface Urql {
  followRequests(show: (request: { seq: string }) => void): void;
}

let folder: DataFolder;
let server: ServerProcess;
let url: string;

beforeAll(async () => {
  mkdirSync(FOLDER, { recursive: true });
  folder = await DataFolder.make();
  server = folder.start();
  url = await server.ready();
  vi.stubEnv('SIGNALBOX_API_KEY', API_KEY);
});
afterAll(async () => {
  await folder?.[Symbol.asyncDispose]();
  rmSync(FOLDER, { recursive: true, force: true });
});

/** The README's code for a client, as it stands there but for the address. */
async function load<Module>(name: string): Promise<Module> {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const codes = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);
  const code = codes.find((one) => one.includes(`from '${name}'`)) ?? expect.fail(`nothing imports ${name}`);
  const file = join(FOLDER, `${name.replace(/\W/g, '')}.ts`);
  writeFileSync(file, code.replaceAll('127.0.0.1:4000', new URL(url).host));
  return (await import(file)) as Module;
}

/** Has the clients that are made from now on use sockets that count how often the server was not there. */
function countRefusals(): () => number {
  let count = 0;
  class CountingSocket extends WebSocket {
    constructor(...args: ConstructorParameters<typeof WebSocket>) {
      super(...args);
      this.on('error', () => {
        count += 1;
      });
    }
  }
  vi.stubGlobal('WebSocket', CountingSocket);
  return () => count;
}

async function complete(): Promise<void> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'Hello!' }] }),
  });
  await response.arrayBuffer();
}

it('the clients of the README go on after a restart that lasts longer than their first try', async () => {
  const refusals = [countRefusals()];
  const { connect, watchMetrics } = await load<Apollo>('@apollo/client');
  let requests = '';
  watchMetrics(await connect(API_KEY), ({ summary }) => {
    requests = summary.requests;
  });
  refusals.push(countRefusals());
  const { followRequests } = await load<Urql>('urql');
  const seqs: number[] = [];
  followRequests(({ seq }) => seqs.push(Number(seq)));

  let sent = 0;
  const both = () => until(() => requests === String(sent) && seqs.at(-1) === sent, `${sent} requests in both`, 60_000);
  await until(() => requests === '0', 'the snapshot');
  // Who follows the log without a `seq` gets what comes from then on.
  for (; seqs.length === 0; await delay(100), sent++) await complete();
  await both();

  await server.end('SIGKILL');
  await until(() => refusals.every((count) => count() > 0), 'both clients to try in vain', 60_000);
  server = folder.start({ PORT: new URL(url).port });
  await server.ready();
  for (const end = sent + 3; sent < end; sent++) await complete();
  await both();
  expect(seqs).toEqual(seqs.map((_, at) => (seqs[0] ?? 0) + at));
}, 180_000);
