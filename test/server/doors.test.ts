import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type TestServer } from '../kit/server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ rateLimitPerMinute: 60, corsOrigins: ['https://app.example.com'] });
});

afterAll(() => server?.close());

const get = (path: string, headers: Record<string, string> = {}) => fetch(`${server.url}${path}`, { headers });
const bearer = (credential: string) => ({ authorization: `Bearer ${credential}` });

const ask = (url: string) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'Hello' }] }),
  });

describe('the doors beside GraphQL', () => {
  test('/ping and /health need no key', async () => {
    expect(await (await get('/ping')).json()).toEqual({ status: 'ok' });
    const health = await (await get('/health')).json();
    expect(health).toMatchObject({
      status: 'ok',
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
      checks: { database: { status: 'ok' }, ledger: { status: 'ok' }, gateway: { running: 0 } },
    });
    expect(Math.abs(Date.parse(health.timestamp) - Date.now())).toBeLessThan(60_000);
  });

  test('/metrics is for admins', async () => {
    expect((await get('/metrics')).status).toBe(401);
    const answer = await get('/metrics', bearer(server.apiKey));
    expect(answer.headers.get('content-type')).toContain('text/plain');
    expect(await answer.text()).toContain('signalbox_completions_running 0');
  });

  test.each(['/ping', '/health', '/metrics', '/v1/models', '/nothing', '/graphql?query={__typename}'])(
    '%s tells the limit of its address',
    async (path) => {
      const { headers } = await get(path);
      expect(headers.get('x-ratelimit-limit')).toBe('60');
      expect(Number(headers.get('x-ratelimit-remaining'))).toBeLessThan(60);
      expect(Number(headers.get('x-ratelimit-reset'))).toBeGreaterThan(0);
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    },
  );

  test('a key is limited by its tier and not by its address', async () => {
    const { headers } = await get('/v1/models', bearer(server.apiKey));
    expect(Number(headers.get('x-ratelimit-limit'))).toBeGreaterThan(60);
  });

  test('completions without a key are refused', async () => {
    expect((await ask(server.url)).status).toBe(401);
  });

  test('only listed origins may read answers', async () => {
    const listed = await get('/v1/models', { ...bearer(server.apiKey), origin: 'https://app.example.com' });
    expect(listed.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
    expect(listed.headers.get('access-control-expose-headers')).toContain('x-signalbox-cost');
    const other = await get('/v1/models', { ...bearer(server.apiKey), origin: 'https://evil.example.com' });
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
  });

  test('an address that asks too often is told when to come back, and the keys behind it go on', async () => {
    let refused: Response | null = null;
    for (let i = 0; i < 100 && !refused; i++) {
      const answer = await get('/ping');
      if (answer.status === 429) refused = answer;
    }
    expect(await refused?.json()).toMatchObject({ error: { type: 'rate_limit_error', code: 'rate_limited' } });
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await get('/v1/models', bearer(server.apiKey))).status).toBe(200);
  });
});

test('completions without a key are answered where ANONYMOUS_COMPLETIONS allows them', async () => {
  const open = await startServer({ anonymousCompletions: true });
  try {
    const answer = await ask(open.url);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-ratelimit-limit')).toBe('1000');
  } finally {
    await open.close();
  }
});
