// What the benchmarks of whole servers share: processes of their own, load on them, and medians of rounds that take turns.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const SECONDS = Number(process.env.BENCH_SECONDS ?? 5);
export const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
export const CONNECTIONS = 32;
export const RATE = Number(process.env.BENCH_RATE ?? 1_000);
const API_KEY = 'sbx_benchmark_benchmark_benchmark_1';

const root = fileURLToPath(new URL('../..', import.meta.url));
const children = [];
const folders = [];

function run(file, { args = [], env = {}, flags = [], isTold = false } = {}) {
  const child = spawn(process.execPath, [...flags, file, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit', ...(isTold ? ['ipc'] : [])],
  });
  children.push(child);
  return child;
}

async function firstLine(child) {
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return JSON.parse(line);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** The upstream that everything is put before, and the bare proxy before it. */
export async function startUpstream() {
  const { url } = await firstLine(run('dist/gateway/upstream/sandbox/serve.js'));
  const { port } = await firstLine(run('test/bench/bare-proxy.mjs', { args: [new URL(url).origin] }));
  return { url, bareUrl: `http://127.0.0.1:${port}/v1` };
}

/**
 * A server with a folder and a database of its own, an API key, and the provider `bench`.
 * @param file what runs it
 * @param isTold it takes messages of `child`
 */
export async function startSignalbox(upstreamUrl, { file = 'test/bench/signalbox.mjs', env = {}, isTold } = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), 'signalbox-bench-'));
  folders.push(dataDir);
  // As root the embedded Postgres runs as another user, who must be able to enter.
  await chmod(dataDir, 0o711);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = run(file, {
    env: {
      PORT: String(port),
      DATA_DIR: dataDir,
      BOOTSTRAP_API_KEY: API_KEY,
      LOG_LEVEL: 'warn',
      DATABASE_URL: '',
      // Its upstream is there to be measured, not to be tried.
      PROVIDER_TESTS: 'off',
      ...env,
    },
    flags: ['--max-semi-space-size=32'],
    isTold,
  });
  child.stdout.resume();
  for (let tries = 0; ; tries++) {
    if (child.exitCode !== null) throw new Error('Signalbox did not start.');
    const ready = await fetch(`${url}/ping`).catch(() => null);
    if (ready?.ok) break;
    if (tries > 600) throw new Error('Signalbox did not start within a minute.');
    await sleep(100);
  }
  const ask = async (query, variables) => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const answer = await response.json();
    if (answer.errors) throw new Error(JSON.stringify(answer.errors));
    return answer.data;
  };
  const model = { name: 'sandbox-small', inputPrice: '0.4', outputPrice: '1.6' };
  const created = await ask(
    `mutation ($input: CreateProviderInput!) { createProvider(input: $input) {
       __typename ... on CreateProviderSuccess { provider { id } } ... on Error { message } } }`,
    { input: { name: 'bench', kind: 'CUSTOM', baseUrl: upstreamUrl, isEnabled: true, models: [model] } },
  );
  const key = await ask(
    `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
       __typename ... on CreateApiKeySuccess { key apiKey { id } } ... on Error { message } } }`,
    { input: { name: 'bench', rateLimitPerMinute: 100_000_000 } },
  );
  if (!created.createProvider.provider || !key.createApiKey.key) throw new Error(JSON.stringify({ created, key }));
  return { url, child, ask, apiKey: key.createApiKey.key, apiKeyId: key.createApiKey.apiKey.id };
}

/** What is sent to the upstream or the bare proxy, and to a server. */
export function requestsOf({ stream = false } = {}) {
  const headers = { 'content-type': 'application/json' };
  const request = {
    messages: [{ role: 'user', content: 'Tell me about signal boxes.' }],
    ...(stream ? { stream } : {}),
  };
  return {
    plain: (url) => ({
      url: `${url}/chat/completions`,
      headers,
      body: JSON.stringify({ model: 'sandbox-small', ...request }),
    }),
    through: ({ url, apiKey }) => ({
      url: `${url}/v1/chat/completions`,
      headers: { ...headers, authorization: `Bearer ${apiKey}` },
      body: JSON.stringify({ model: 'bench/sandbox-small', ...request }),
    }),
  };
}

export async function load(target, options) {
  const child = run('test/bench/load.mjs', { args: [JSON.stringify({ ...target, ...options })] });
  const result = await firstLine(child);
  await once(child, 'exit');
  if (result.failed > 0) console.log(`  ${result.failed} of ${result.requests} requests FAILED`);
  return result;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/**
 * Puts load on each in turn, round after round.
 * @param after what is waited for after each
 * @returns medians, and of the throughput beside that of `bare` in the same round
 */
export async function compare(targets, options, after = async () => undefined) {
  const results = Object.fromEntries(Object.keys(targets).map((key) => [key, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [key, target] of Object.entries(targets)) {
      results[key].push(await load(target, options));
      await after(key);
    }
  }
  return Object.fromEntries(
    Object.entries(results).map(([key, list]) => [
      key,
      {
        perSecond: median(list.map((r) => r.perSecond)),
        ofBare: median(list.map((r, round) => r.perSecond / results.bare[round].perSecond)),
        p50: median(list.map((r) => r.p50)),
        p99: median(list.map((r) => r.p99)),
      },
    ]),
  );
}

/** Waits until everything that was answered is on the ledger. */
export async function settled({ url }) {
  for (const startedAt = Date.now(); Date.now() - startedAt < 300_000; await sleep(50)) {
    const health = await (await fetch(`${url}/health`)).json();
    if (health.checks.ledger.pendingBytes === 0) return;
  }
  throw new Error('The journal was not drained within five minutes.');
}

/** Ends all that was started, and removes its files. */
export async function stopAll() {
  await Promise.all(
    children
      .filter((child) => child.exitCode === null && child.signalCode === null)
      .map((child) => {
        child.kill('SIGTERM');
        return once(child, 'exit');
      }),
  );
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
}
