// `npm run bench`: a bare ten-line proxy and Signalbox before the same upstream, in one run on one machine, so that the
// ratios mean something where the absolute numbers do not. Signalbox runs with everything on: key check, rate limit,
// journal, ledger drained into Postgres. Nothing passes or fails by these numbers.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const SECONDS = Number(process.env.BENCH_SECONDS ?? 5);
const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const CONNECTIONS = 32;
const RATE = Number(process.env.BENCH_RATE ?? 1_000);
const API_KEY = 'sbx_benchmark_benchmark_benchmark_1';

const root = fileURLToPath(new URL('../..', import.meta.url));
const children = [];
const dataDir = await mkdtemp(join(tmpdir(), 'signalbox-bench-'));
// As root the embedded Postgres runs as another user, who must be able to enter.
await chmod(dataDir, 0o711);

function run(file, args = [], env = {}, flags = []) {
  const child = spawn(process.execPath, [...flags, file, ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
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

async function startSignalbox(upstreamUrl) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = {
    PORT: String(port),
    DATA_DIR: dataDir,
    BOOTSTRAP_API_KEY: API_KEY,
    LOG_LEVEL: 'warn',
    DATABASE_URL: '',
    // Its upstream is there to be measured, not to be tried.
    PROVIDER_TESTS: 'off',
  };
  const child = run('test/bench/signalbox.mjs', [], env, ['--max-semi-space-size=32']);
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
       __typename ... on CreateApiKeySuccess { key } ... on Error { message } } }`,
    { input: { name: 'bench', rateLimitPerMinute: 100_000_000 } },
  );
  if (!created.createProvider.provider || !key.createApiKey.key) throw new Error(JSON.stringify({ created, key }));
  return { url, apiKey: key.createApiKey.key, ask };
}

async function load(target, options) {
  const child = run('test/bench/load.mjs', [JSON.stringify({ ...target, ...options })]);
  const result = await firstLine(child);
  await once(child, 'exit');
  if (result.failed > 0) console.log(`  ${result.failed} of ${result.requests} requests FAILED`);
  return result;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

async function compare(targets, options) {
  const results = Object.fromEntries(Object.keys(targets).map((key) => [key, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [key, target] of Object.entries(targets)) results[key].push(await load(target, options));
  }
  return Object.fromEntries(
    Object.entries(results).map(([key, list]) => [
      key,
      {
        perSecond: median(list.map((r) => r.perSecond)),
        p50: median(list.map((r) => r.p50)),
        p99: median(list.map((r) => r.p99)),
      },
    ]),
  );
}

async function main() {
  const upstream = await firstLine(run('dist/gateway/upstream/sandbox/serve.js'));
  const { origin } = new URL(upstream.url);
  const bare = await firstLine(run('test/bench/bare-proxy.mjs', [origin]));
  const signalbox = await startSignalbox(upstream.url);
  const headers = { 'content-type': 'application/json' };
  console.log(
    `${ROUNDS} rounds of ${SECONDS} s each, medians. ${CONNECTIONS} connections flat out; then ${RATE} requests a second.\n`,
  );
  for (const stream of [false, true]) {
    const request = {
      messages: [{ role: 'user', content: 'Tell me about signal boxes.' }],
      ...(stream ? { stream } : {}),
    };
    const body = JSON.stringify({ model: 'sandbox-small', ...request });
    const targets = {
      upstream: { url: `${upstream.url}/chat/completions`, headers, body },
      bare: { url: `http://127.0.0.1:${bare.port}/v1/chat/completions`, headers, body },
      signalbox: {
        url: `${signalbox.url}/v1/chat/completions`,
        headers: { ...headers, authorization: `Bearer ${signalbox.apiKey}` },
        body: JSON.stringify({ model: 'bench/sandbox-small', ...request }),
      },
    };
    for (const target of Object.values(targets)) await load(target, { seconds: 2, connections: CONNECTIONS });
    const flat = await compare(targets, { seconds: SECONDS, connections: CONNECTIONS });
    const rate = await compare(targets, { seconds: SECONDS, ratePerSecond: RATE });
    print(stream ? 'streamed' : 'not streamed', flat, rate);
  }
  await settle(signalbox);
}

function print(title, flat, rate) {
  console.log(title);
  console.table(
    Object.fromEntries(
      Object.keys(flat).map((key) => [
        key,
        {
          'requests/s': Math.round(flat[key].perSecond),
          'of bare': Number((flat[key].perSecond / flat.bare.perSecond).toFixed(2)),
          [`p50 ms at ${RATE}/s`]: Number(rate[key].p50.toFixed(2)),
          'p99 ms': Number(rate[key].p99.toFixed(2)),
          'added p50 ms': Number((rate[key].p50 - rate.upstream.p50).toFixed(2)),
          'added p99 ms': Number((rate[key].p99 - rate.upstream.p99).toFixed(2)),
        },
      ]),
    ),
  );
}

/** The ledger must have every request that was answered; how long that takes is the drain's rate. */
async function settle(signalbox) {
  const startedAt = Date.now();
  for (let pending = 1; pending > 0 && Date.now() - startedAt < 300_000; ) {
    const health = await (await fetch(`${signalbox.url}/health`)).json();
    pending = health.checks.ledger.pendingBytes;
    if (pending > 0) await sleep(200);
  }
  const { metrics } = await signalbox.ask('{ metrics { summary { requests cost } } }');
  console.log(
    `On the ledger: ${metrics.summary.requests} requests, $${metrics.summary.cost}; drained ${((Date.now() - startedAt) / 1000).toFixed(1)} s after the load.`,
  );
}

try {
  await main();
} finally {
  await Promise.all(
    children
      .filter((child) => child.exitCode === null && child.signalCode === null)
      .map((child) => {
        child.kill('SIGTERM');
        return once(child, 'exit');
      }),
  );
  await rm(dataDir, { recursive: true, force: true });
}
