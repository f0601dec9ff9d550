import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { countTokens } from 'gpt-tokenizer';
import { countTokens as countByOlder } from 'gpt-tokenizer/encoding/cl100k_base';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { newKey, newUser, set } from '../control/budgets/kit.ts';
import { until } from '../kit/eventually.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { type Answer, chunk, connectProviders, json, startUpstream, type Upstream, whole } from '../kit/upstream.ts';

let server: TestServer;
let first: Upstream;
let second: Upstream;
let answers: { first: Answer; second: Answer };

beforeAll(async () => {
  server = await startServer({ circuitProbeMs: 0, stallTimeoutMs: 1_500 });
  first = await startUpstream((response, received) => answers.first(response, received));
  second = await startUpstream((response, received) => answers.second(response, received));
  await connectProviders(server, { first, second });
});
afterAll(async () => {
  await server.close();
  await first.close();
  await second.close();
});
let caller: { id: string; apiKey: string; keyId: string };
let callers = 0;

beforeEach(async () => {
  const { id } = await newUser(server, `caller-${++callers}@example.com`);
  const key = await newKey(server, id, `caller-${callers}`);
  caller = { id, apiKey: key.apiKey, keyId: key.id };
});
afterEach(async () => {
  await server.services.ledger.drained();
  await server.services.prisma.budget.deleteMany();
  await server.services.pool.query('UPDATE ledger_head SET budgets_version = budgets_version + 1');
  await server.services.leases.refresh();
  first.received.length = 0;
  second.received.length = 0;
});

/** 10 tokens of input at $1 and 5 of output at $2 for 1M: $0.00002. */
const served = json(whole('Hello!'));
const COST = '0.00002';

/** Limits all that the caller of this test spends. */
async function limit(input: { limit: string } & Record<string, unknown>) {
  const budget = await set(server, { subject: caller.id, enforcement: 'HARD', period: 'TOTAL', ...input });
  await server.services.leases.refresh();
  return budget;
}

function post(over: object = {}): Promise<Response> {
  return fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${caller.apiKey}` },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'Hello' }], ...over }),
  });
}

interface Sent {
  max_tokens?: number;
}
const sent = (upstream: Upstream) => upstream.received.map(({ body }) => JSON.parse(body) as Sent);

async function standing(): Promise<{ settled: string; leased: string }> {
  await server.services.ledger.drained();
  const { rows } = await server.services.pool.query('SELECT settled::text, leased::text FROM allowances');
  return rows[0];
}

async function attempts(): Promise<{ cost: string | null; held: string | null }[]> {
  await server.services.ledger.drained();
  const { rows } = await server.services.pool.query('SELECT cost::text, held::text FROM attempts ORDER BY id DESC');
  return rows;
}

describe('a hard budget', () => {
  it('sets the worst case aside while a completion runs, and what it cost afterwards', async () => {
    let inside = { settled: '', leased: '' };
    answers = {
      first: async (response, received) => {
        inside = await standing();
        await served(response, received);
      },
      second: served,
    };
    await limit({ limit: '1' });
    const body = { max_tokens: 1_000 };
    expect((await post(body)).status).toBe(200);
    const bytes = JSON.stringify({ messages: [{ role: 'user', content: 'Hello' }], ...body }).length;
    const hold = BigInt(bytes) * 1_000_000n + 1_000n * 2_000_000n;
    // With a slice for what comes next.
    expect(BigInt(inside.leased)).toBeGreaterThan(hold / 2n);
    expect(inside.settled).toBe('0');
    const [attempt] = await attempts();
    expect(attempt?.cost).toBe('20000000');
    expect(BigInt(attempt?.held ?? 0)).toBeLessThanOrEqual(hold);
    expect(BigInt(attempt?.held ?? 0)).toBeGreaterThanOrEqual(1_000n * 2_000_000n);
    expect((await standing()).settled).toBe('20000000');
  });

  it('shortens an answer to what is left, says so, and refuses where that would be none', async () => {
    answers = { first: served, second: served };
    // The input is counted closely where its bytes do not fit: it leaves some of these for the answer.
    await limit({ limit: '0.0003' });
    const response = await post({ max_tokens: 1_000 });
    expect(response.status).toBe(200);
    const [{ max_tokens: tokens } = {}] = sent(first);
    expect(tokens).toBeGreaterThanOrEqual(16);
    expect(tokens).toBeLessThan(150);
    expect(decodeURIComponent(response.headers.get('x-signalbox-warnings') ?? '')).toContain(`${tokens} tokens`);
    await limit({ limit: '0.00005' });
    const refused = await post({ max_tokens: 1_000 });
    expect(refused.status).toBe(402);
    expect(await refused.json()).toMatchObject({ error: { code: 'budget_exceeded', type: 'insufficient_quota' } });
    expect(first.received).toHaveLength(1);
    expect(second.received).toHaveLength(0);
  });

  it('counts closely what any vocabulary can make of the input', async () => {
    answers = { first: served, second: served };
    const content = 'കേരളത്തിലെ കാലാവസ്ഥ വളരെ മനോഹരമാണ് '.repeat(40);
    // Older models of OpenAI read several times as many tokens as the vocabulary of the newer ones.
    const read = countByOlder(content);
    expect(read).toBeGreaterThan(4 * countTokens(content));
    await limit({ limit: `0.00${read}` });
    expect((await post({ messages: [{ role: 'user', content }], max_tokens: 16 })).status).toBe(402);
    await limit({ limit: '1' });
    expect((await post({ messages: [{ role: 'user', content }], max_tokens: 16 })).status).toBe(200);
  });

  it('sets aside what is paid beyond the bytes of the request and the limit of the answer', async () => {
    answers = { first: served, second: served };
    await limit({ limit: '10' });
    const heldFor = async (over: object) => {
      expect((await post({ max_tokens: 16, ...over })).status).toBe(200);
      return Number((await attempts())[0]?.held) / 1e6;
    };
    const plain = await heldFor({});
    // What was predicted and does not come is paid like an answer.
    expect(await heldFor({ prediction: { type: 'content', content: 'a'.repeat(1_000) } })).toBeGreaterThan(
      plain + 2_000,
    );
    // Providers have a prompt of their own for tools, and know what was said before.
    const tools = [{ type: 'function', function: { name: 'a' } }];
    expect(await heldFor({ tools })).toBeGreaterThan(plain + 530);
    const messages = [
      { role: 'assistant', audio: { id: 'audio_1' } },
      { role: 'user', content: 'Hello' },
    ];
    expect(await heldFor({ messages })).toBeGreaterThan(plain + 100_000);
  });

  it('gives a limit to answers that have none', async () => {
    answers = { first: served, second: served };
    await limit({ limit: '1' });
    const { headers } = await post();
    expect(decodeURIComponent(headers.get('x-signalbox-warnings') ?? '')).toContain('it needs a limit');
    expect(sent(first)).toMatchObject([{ max_tokens: 4_096 }]);
  });

  it('is never passed by many at once, and serves as many as it can', async () => {
    answers = {
      first: async (response, received) => {
        await sleep(20);
        await served(response, received);
      },
      second: served,
    };
    // Ten times the least that one of them holds; they cost a tenth of that.
    await limit({ limit: '0.001' });
    const statuses = await Promise.all(
      Array.from({ length: 60 }, () => post({ max_tokens: 16 }).then((r) => r.status)),
    );
    expect(new Set(statuses)).toEqual(new Set([200, 402]));
    const { settled } = await standing();
    expect(BigInt(settled)).toBe(20_000_000n * BigInt(statuses.filter((status) => status === 200).length));
    // Once they have ended there is room again.
    expect((await post({ max_tokens: 16 })).status).toBe(200);
  });

  it.each([
    ['/v1/chat/completions', { stream: true, max_tokens: 100, messages: [{ role: 'user', content: 'Hello' }] }],
    [
      '/graphql',
      {
        query: `subscription ($input: CompletionInput!) {
          completion(input: $input) { ... on CompletionDelta { text } } }`,
        variables: { input: { messages: [{ role: 'USER', content: 'Hello' }] } },
      },
    ],
  ])('has back what was set aside for somebody who does not read from %s', async (path, body) => {
    const text = 'x'.repeat(60_000);
    answers = {
      first: async (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        while (!response.destroyed) {
          response.write(`data: ${JSON.stringify(chunk(text))}\n\n`);
          await sleep(2);
        }
      },
      second: served,
    };
    await limit({ limit: '1' });
    const headers = {
      ...{ 'content-type': 'application/json', authorization: `Bearer ${caller.apiKey}` },
      accept: 'text/event-stream',
    };
    const stalled = request(server.url + path, { method: 'POST', headers }, (answer) => answer.pause());
    stalled.on('error', () => undefined);
    stalled.end(JSON.stringify(body));
    await until(() => server.services.leases.held > 0n, 'it runs');
    await until(() => server.services.leases.held === 0n, 'it is over');
    expect(server.services.gateway.running).toBe(0);
  });

  it('refuses what has no price, and says why', async () => {
    answers = { first: served, second: served };
    await limit({ limit: '1' });
    const response = await post({ model: 'first/unheard-of' });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain('price of unheard-of at first is unknown');
    expect(first.received).toHaveLength(0);
  });

  it('among several takes no more than the one with the least has, and nothing of any when one refuses', async () => {
    answers = { first: served, second: served };
    await limit({ limit: '1' });
    await limit({ limit: '0.0003', scope: 'API_KEY', subject: caller.keyId });
    expect((await post({ max_tokens: 1_000 })).status).toBe(200);
    const [{ max_tokens: tokens } = {}] = sent(first);
    expect(tokens).toBeLessThan(150);
    const [attempt] = await attempts();
    expect(BigInt(attempt?.held ?? 0)).toBeLessThanOrEqual(300_000_000n);
    await limit({ limit: '0.00003', scope: 'API_KEY', subject: caller.keyId });
    const refused = await post({ max_tokens: 1_000 });
    expect([refused.status, await refused.text()]).toEqual([402, expect.stringContaining('api key')]);
    expect(server.services.leases.held).toBe(0n);
    const { rows } = await server.services.pool.query('SELECT settled::text FROM allowances');
    expect(rows).toEqual([{ settled: '20000000' }, { settled: '20000000' }]);
  });

  it('of one provider leaves the others in use', async () => {
    answers = { first: served, second: served };
    await limit({ limit: '0.000001', scope: 'PROVIDER', subject: 'first' });
    expect((await post({ max_tokens: 100 })).status).toBe(200);
    expect(first.received).toHaveLength(0);
    expect(second.received).toHaveLength(1);
    const alone = await post({ model: 'first/m', max_tokens: 100 });
    expect(alone.status).toBe(402);
  });

  it('ends failover when there is no money for another attempt, with the reason of the first', async () => {
    answers = {
      first: async (response, received) => {
        // While it runs, the rest is taken away.
        await limit({ limit: '0.000001' });
        await json({ error: { message: 'no' } }, 500)(response, received);
      },
      second: served,
    };
    await limit({ limit: '0.01' });
    const response = await post({ max_tokens: 100 });
    expect(response.status).toBe(502);
    expect(second.received).toHaveLength(0);
    await until(async () => (await standing()).leased === '0', 'all is given back');
    expect((await standing()).settled).toBe('0');
  });

  it('takes in all that a provider bills beyond the worst case, and is closed by it', async () => {
    const usage = { prompt_tokens: 10, completion_tokens: 5_000, total_tokens: 5_010 };
    answers = { first: json(whole('Hello!', { usage })), second: served };
    await limit({ limit: '0.005' });
    expect((await post({ max_tokens: 16 })).status).toBe(200);
    const [attempt] = await attempts();
    expect(attempt?.cost).toBe('10010000000');
    expect(BigInt(attempt?.held ?? 0)).toBeLessThan(1_000_000_000n);
    expect((await standing()).settled).toBe('10010000000');
    await until(async () => (await standing()).leased === '0', 'nothing lies idle');
    expect((await post({ max_tokens: 16 })).status).toBe(402);
  });

  it('goes on from what is leased while Postgres is away, and then says that nobody knows', async () => {
    answers = { first: served, second: served };
    await limit({ limit: '10' });
    // A few at once leave something idle.
    await Promise.all(Array.from({ length: 5 }, () => post({ max_tokens: 1_000 })));
    const { pool } = server.services;
    const query = pool.query.bind(pool);
    pool.query = (() => Promise.reject(new Error('connect ECONNREFUSED'))) as never;
    try {
      expect((await post({ max_tokens: 1_000 })).status).toBe(200);
      const refused = await post({ max_tokens: 2_000_000 });
      expect(refused.status).toBe(503);
      expect(await refused.text()).toContain('database is away');
    } finally {
      pool.query = query as never;
    }
    // Whatever Postgres may have leased without this server knowing is free again.
    await until(async () => (await post({ max_tokens: 2_000_000 })).status === 200, 'it can be asked again');
    await until(async () => (await standing()).leased === '0', 'all is given back', 15_000);
  });
});

it(`a budget of less than one call's ${COST} refuses it before anything is sent`, async () => {
  answers = { first: served, second: served };
  await limit({ limit: '0.000019' });
  expect((await post({ max_tokens: 5 })).status).toBe(402);
  expect(first.received).toHaveLength(0);
});
