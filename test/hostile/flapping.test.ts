import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DialectName } from '../../src/gateway/upstream/dialect.ts';
import { randomFrom } from '../../src/gateway/upstream/sandbox/digest.ts';
import { type Sandbox, startSandbox } from '../../src/gateway/upstream/sandbox/sandbox.ts';
import { ask, type Seen, type Way } from '../gateway/faults/kit/callers.ts';
import { expectAgreement, ledgerOfAll } from '../gateway/faults/kit/ledger.ts';
import { until } from '../kit/eventually.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { startWeather, type Weather } from './flapping/weather.ts';

/** How long the targets flap; FLAPPING_SECONDS=60 runs the minute that CI has no time for. */
const SECONDS = Number(process.env.FLAPPING_SECONDS ?? 10);
/** Of the weather; a run that failed is repeated with the seed that it tells. */
const SEED = process.env.FLAPPING_SEED ?? String(Date.now());
const STREAMS = 200;
const LONGEST_WAIT_MS = 500;
const ROUTE = 'flapping';
const DIALECTS: readonly DialectName[] = ['OPENAI', 'ANTHROPIC', 'GEMINI', 'OPENAI'];
/** A stream of about a second. */
const PACE = { outputTokens: 60, tokensPerSecond: 60 };
const LIMITS = { firstTokenTimeoutMs: 2_500, stallTimeoutMs: 2_500 };
/** A clear error: what the providers failed at, and nothing of our own. */
const CLEAR = ['UPSTREAM', 'UPSTREAM_TIMEOUT', 'RATE_LIMITED', 'OVERLOADED'];

let server: TestServer;
const sandboxes: Sandbox[] = [];
const weathers = new Map<string, Weather>();
beforeAll(async () => {
  server = await startServer({ ...LIMITS, rateLimitPerMinute: 0, circuitProbeMs: 1_000 });
  for (const [index, dialect] of DIALECTS.entries()) {
    const slug = `flapping-${index + 1}`;
    const sandbox = await startSandbox({ port: 0 });
    const weather = await startWeather(sandbox, sandbox.urls[dialect], randomFrom(seedOf(index)));
    sandboxes.push(sandbox);
    weathers.set(slug, weather);
    await mutate('createProvider', 'CreateProviderInput', {
      name: slug,
      slug,
      kind: 'SANDBOX',
      dialect,
      baseUrl: weather.url,
      isEnabled: true,
      models: [{ name: 'sandbox-small', inputPrice: '1', outputPrice: '2', maxOutputTokens: 4_096 }],
    });
  }
  await mutate('createRoute', 'CreateRouteInput', {
    name: ROUTE,
    slug: ROUTE,
    strategy: 'ROUND_ROBIN',
    totalTimeoutMs: 20_000,
    restartPolicy: 'OTHER_TARGET',
    targets: [...weathers.keys()].map((provider) => ({ provider, models: ['sandbox-small'] })),
  });
});
afterAll(async () => {
  await server?.close();
  for (const weather of weathers.values()) await weather.close();
  for (const sandbox of sandboxes) await sandbox.close();
});

function seedOf(index: number): string {
  return ((Number.parseInt(SEED, 10) + index * 7_919) >>> 0).toString(16).padStart(8, '0');
}

async function mutate(name: string, type: string, input: object): Promise<void> {
  const document = `mutation ($input: ${type}!) { ${name}(input: $input) { __typename ... on Error { message } } }`;
  const { data } = await server.query<Record<string, { __typename: string }>, object>(document, { input });
  expect(data[name]).toEqual({ __typename: expect.stringMatching(/Success$/) });
}

const WAYS: readonly Way[] = ['streamed on /v1', 'subscribed to'];

/** What each provider says when it is well, by the way it is asked. */
async function wellAnswers(): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (const slug of weathers.keys()) {
    for (const way of WAYS) {
      const seen = await ask(server, `${slug}/sandbox-small`, way, { sandbox: PACE });
      expect(seen.isWhole).toBe(true);
      texts.set(`${slug} ${way}`, seen.text);
    }
  }
  return texts;
}

it(`ends 200 streams at once complete or with a clear error while their targets flap, seed ${SEED}`, {
  timeout: (SECONDS + 90) * 1_000,
}, async () => {
  const well = await wellAnswers();
  const before = new Map([...weathers].map(([slug, weather]) => [slug, weather.calls()]));
  for (const weather of weathers.values()) weather.begin();

  const all: { way: Way; mayRestart: boolean; seen: Seen }[] = [];
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, server.services.gateway.running);
  }, 20);
  const ends = performance.now() + SECONDS * 1_000;
  const streams = Array.from({ length: STREAMS }, async (_, at) => {
    const way = at % 4 === 0 ? 'subscribed to' : 'streamed on /v1';
    const mayRestart = way === 'subscribed to' || at % 2 === 0;
    const headers: Record<string, string> = mayRestart ? { 'x-signalbox-restart': 'allow' } : {};
    while (performance.now() < ends) {
      const seen = await ask(server, ROUTE, way, { headers, sandbox: PACE });
      all.push({ way, mayRestart, seen });
      // As well-behaved clients do.
      if (seen.retryAfter !== null) await delay(Math.min(seen.retryAfter * 1_000, LONGEST_WAIT_MS));
    }
  });
  await Promise.all(streams);
  clearInterval(watch);
  for (const weather of weathers.values()) weather.clear();
  // All callers ask at once; how many of them are being served at the same time is up to the machine.
  expect(most).toBeGreaterThan(STREAMS / 4);

  // The callers.
  for (const { seen, way, mayRestart } of all) {
    if (!mayRestart) expect(seen.restarts).toEqual([]);
    if (seen.isWhole) {
      expect(seen).toMatchObject({ error: null, finishReason: 'stop' });
      expect(seen.text).toBe(well.get(`${seen.provider} ${way}`));
    } else {
      expect(CLEAR).toContain(seen.error?.code);
      expect([...well.values()].some((text) => text.startsWith(seen.text))).toBe(true);
    }
  }
  const whole = all.filter(({ seen }) => seen.isWhole).length;
  expect(whole).toBeGreaterThan(all.length / 2);
  expect(whole).toBeLessThan(all.length);

  // Nothing runs on.
  await until(() => server.services.gateway.running === 0, 'no completion runs');
  await until(() => sandboxes.every((sandbox) => sandbox.stats().active === 0), 'no provider works');

  // The ledger. Who was turned away because nobody could answer made no attempt.
  const called = all.map(({ seen }) => seen).filter(({ attempts }) => attempts !== null && attempts > 0);
  const records = await ledgerOfAll(
    server,
    called.map(({ requestId }) => requestId),
  );
  for (const seen of called) {
    const record = records.get(seen.requestId);
    if (record) expectAgreement(seen, record);
  }
  const attempts = [...records.values()].flatMap((record) => record.attempts);
  expect(attempts.filter(({ status }) => status === 'INDETERMINATE')).toEqual([]);

  // The providers.
  for (const [slug, weather] of weathers) {
    const asked = attempts.filter(({ provider }) => provider === slug).length;
    expect(asked).toBeGreaterThan(0);
    expect(weather.calls() - (before.get(slug) ?? 0)).toBe(asked);
  }
});
