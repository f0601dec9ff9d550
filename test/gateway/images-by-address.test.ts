import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { RemoteImages } from '../../src/gateway/upstream/remote-images.ts';
import { startServer, type TestServer } from '../kit/server.ts';
import { type Answer, json, startUpstream, type Upstream, whole } from '../kit/upstream.ts';

/** Where the images are; providers of the kind GOOGLE take only their bytes. */
let host: Upstream;
let google: Upstream;
let openai: Upstream;
let server: TestServer;
let image: Answer;

const picture: Answer = (response) => response.setHeader('content-type', 'image/png').end('PNG');

beforeAll(async () => {
  host = await startUpstream((response, received) => image(response, received));
  google = await startUpstream(json({ error: { code: 503, message: 'busy', status: 'UNAVAILABLE' } }, 503));
  openai = await startUpstream(json(whole('an image')));
  server = await startServer({ circuitProbeMs: 0 });
  // The host is on this machine, where requests must not lead.
  const here = new RemoteImages({ allowsPrivate: true });
  const fetchImages = RemoteImages.prototype.fetch;
  vi.spyOn(RemoteImages.prototype, 'fetch').mockImplementation((urls, signal) => fetchImages.call(here, urls, signal));
  for (const slug of ['g1', 'g2', 'g3']) await createProvider(slug, 'GOOGLE', google);
  await createProvider('other', 'CUSTOM', openai);
  const gemini = ['g1', 'g2', 'g3'].map((provider, priority) => ({ provider, priority }));
  await createRoute('patient', { targets: gemini, maxRetries: 2 });
  await createRoute('hasty', { targets: gemini, totalTimeoutMs: 400 });
  await createRoute('mixed', { targets: [...gemini, { provider: 'other', priority: 9 }] });
});

afterAll(async () => {
  vi.restoreAllMocks();
  await server?.close();
  for (const upstream of [host, google, openai]) await upstream?.close();
});

beforeEach(() => {
  for (const { received } of [host, google, openai]) received.length = 0;
});

async function must(name: string, type: string, input: object): Promise<void> {
  const { data, errors } = await server.query<Record<string, { __typename: string }>, object>(
    `mutation ($input: ${type}!) { ${name}(input: $input) { __typename ... on Error { message } } }`,
    { input },
  );
  expect(errors).toEqual([]);
  expect(data[name]).not.toHaveProperty('message');
}

async function createProvider(slug: string, kind: string, { url: baseUrl }: Upstream): Promise<void> {
  const more = { isEnabled: true, apiKey: 'key-of-a-provider-1234', models: [{ name: 'm' }] };
  await must('createProvider', 'CreateProviderInput', { name: slug, slug, kind, baseUrl, ...more });
}

async function createRoute(slug: string, over: object): Promise<void> {
  await must('createRoute', 'CreateRouteInput', { name: slug, slug, ...over });
}

function ask(model: string, signal: AbortSignal | null = null): Promise<Response> {
  const content = [{ type: 'image_url', image_url: { url: host.url } }];
  return fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${server.apiKey}` },
    body: JSON.stringify({ model, messages: [{ role: 'user', content }] }),
    signal,
  });
}

test('images are fetched once for all attempts', async () => {
  image = picture;
  const response = await ask('patient');
  expect([response.status, response.headers.get('x-signalbox-attempts')]).toEqual([503, '3']);
  expect(google.received.every(({ body }) => body.includes(Buffer.from('PNG').toString('base64')))).toBe(true);
  expect(host.received).toHaveLength(1);
});

test('an image that cannot be had is asked for once, and who takes its address is asked all the same', async () => {
  image = json({}, 404);
  const refused = await ask('patient');
  expect(refused.status).toBe(400);
  expect(await refused.text()).toContain('was answered with HTTP 404');
  expect(host.received).toHaveLength(1);
  const answered = await ask('mixed');
  expect([answered.status, answered.headers.get('x-signalbox-provider')]).toEqual([200, 'other']);
  expect(host.received).toHaveLength(2);
  expect(google.received).toEqual([]);
});

test('images that come too slowly end the request when the time of its route is over', async () => {
  image = () => undefined;
  const startedAt = Date.now();
  const response = await ask('hasty');
  expect(response.status).toBe(504);
  expect(await response.json()).toMatchObject({
    error: { message: 'The images that the request names by address could not be fetched within 0.4 s.' },
  });
  expect(Date.now() - startedAt).toBeLessThan(2_000);
  expect(host.received).toHaveLength(1);
  await vi.waitFor(() => expect(host.received[0]?.abortedAt).not.toBeNull());
  expect(google.received).toEqual([]);
});

test('leaving ends the fetching at once', async () => {
  image = () => undefined;
  const leaving = new AbortController();
  const asking = ask('patient', leaving.signal).catch(() => null);
  await vi.waitFor(() => expect(host.received).toHaveLength(1));
  leaving.abort();
  await asking;
  await vi.waitFor(() => expect(host.received[0]?.abortedAt).not.toBeNull());
  await vi.waitFor(() => expect(server.services.gateway.running).toBe(0));
  expect(google.received).toEqual([]);
});
