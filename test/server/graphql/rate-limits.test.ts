import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type TestServer } from '../../kit/server.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ rateLimitPerMinute: 30, trustProxy: true });
});
afterAll(() => server.close());

/** Behind a proxy that says where the request came from. */
async function post(query: string, address: string, authorization?: string) {
  const response = await fetch(`${server.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'x-forwarded-for': `spoofed, ${address}`,
      ...(authorization && { authorization }),
    },
    body: JSON.stringify({ query }),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

test('anonymous requests are limited by address, and every answer says where the caller stands', async () => {
  for (let left = 29; left >= 0; left -= 1) {
    const { status, headers } = await post('{ __typename }', '192.0.2.1');
    expect(status).toBe(200);
    expect(headers.get('x-ratelimit-limit')).toBe('30');
    expect(Number(headers.get('x-ratelimit-remaining'))).toBeLessThanOrEqual(left + 1);
    expect(Number(headers.get('x-ratelimit-reset'))).toBeGreaterThan(0);
  }
  const refused = await post('{ __typename }', '192.0.2.1');
  expect(refused).toMatchObject({ status: 429, body: { errors: [{ extensions: { code: 'RATE_LIMITED' } }] } });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await post('{ __typename }', '192.0.2.2')).status).toBe(200);
  expect((await post('{ __typename }', '192.0.2.1', `Bearer ${server.admin}`)).status).toBe(200);
});

test('wrong credentials are limited by address, right ones from there still pass', async () => {
  const codes = new Set<string>();
  for (let attempt = 0; attempt < 25; attempt += 1) {
    const { status, body } = await post('{ __typename }', '192.0.2.3', `Bearer sbx_wrong${attempt}`);
    codes.add(`${status} ${body.errors[0].extensions.code}`);
  }
  expect([...codes]).toEqual(['401 UNAUTHENTICATED', '429 RATE_LIMITED']);
  expect((await post('{ __typename }', '192.0.2.3', `Bearer ${server.apiKey}`)).status).toBe(200);
});

const logIn = async (password: string, address: string) => {
  const query = `mutation { logIn(input: { email: "admin@signalbox.local", password: "${password}" }) { __typename } }`;
  return (await post(query, address)).body.data.logIn.__typename;
};

test('sign-ins are refused after too many failures, also with the right password', async () => {
  const address = '192.0.2.4';
  expect(await logIn('wrong password', address)).toBe('AuthenticationError');
  // As if the failures came a little later, so that none is forgiven while this runs.
  for (let failure = 0; failure < 20; failure += 1)
    server.services.rateLimiter.takeFailure(address, Date.now() + 50_000);
  expect(await logIn('correct horse battery', address)).toBe('RateLimitedError');
  expect(await logIn('correct horse battery', '192.0.2.5')).toBe('LogInSuccess');
});

test('sending many passwords at once is no way around the limit', async () => {
  const address = '192.0.2.6';
  for (let failure = 0; failure < 15; failure += 1)
    server.services.rateLimiter.takeFailure(address, Date.now() + 50_000);
  const names = await Promise.all(Array.from({ length: 15 }, () => logIn('wrong password', address)));
  expect(names.filter((name) => name === 'AuthenticationError')).toHaveLength(5);
  expect(names.filter((name) => name === 'RateLimitedError')).toHaveLength(10);
});

test('several completions in one operation count as several requests', async () => {
  const created = await server.query<{ createApiKey: { key: string } }, unknown>(
    'mutation { createApiKey(input: { name: "three a minute", rateLimitPerMinute: 3 }) { ... on CreateApiKeySuccess { key } } }',
  );
  const one = (alias: string) =>
    `${alias}: complete(input: { model: "sandbox-small", messages: [{ role: USER, content: "Hi" }] }) { __typename }`;
  const { data } = await server.query<Record<string, { __typename: string }>, unknown>(
    `mutation { ${['a', 'b', 'c', 'd', 'e'].map(one).join(' ')} }`,
    {},
    { apiKey: created.data.createApiKey.key },
  );
  expect(Object.values(data).map(({ __typename }) => __typename)).toEqual([
    ...['Completion', 'Completion', 'Completion'],
    ...['RateLimitedError', 'RateLimitedError'],
  ]);
});
