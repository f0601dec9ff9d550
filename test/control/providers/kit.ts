import { expect } from 'vitest';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { until } from '../../kit/eventually.ts';
import type { Credential, TestServer } from '../../kit/server.ts';
import { startUpstream } from '../../kit/upstream.ts';

export interface Failure {
  __typename: string;
  code: string;
  message: string;
}

/** Runs a mutation with one argument and returns its result; top-level errors fail the test. */
export async function mutate<Success>(
  server: TestServer,
  name: string,
  argument: { id: string } | { input: object },
  success: string,
  credential?: Credential,
): Promise<Success & Failure> {
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}`;
  const [argumentName, argumentType] = 'input' in argument ? ['input', `${type}Input!`] : ['id', 'ID!'];
  const { data, errors } = await server.query<Record<string, Success & Failure>, object>(
    `mutation($${argumentName}: ${argumentType}) { ${name}(${argumentName}: $${argumentName}) {
       __typename ... on ${type}Success { ${success} } ... on Error { code message } } }`,
    argument,
    credential,
  );
  expect(errors).toEqual([]);
  return data[name] as Success & Failure;
}

/** One more admin; each has their own ten tests a minute. */
export async function anotherAdmin({ services }: TestServer): Promise<Credential> {
  const data = { email: `${uuidv7()}@example.com`, passwordHash: '-', role: 'ADMIN' as const };
  const { id } = await changeAccounts(services, (tx, revision) => tx.user.create({ data: { ...data, revision } }));
  return { token: await services.tokens.sign(id) };
}

/** Runs a query that needs no variables and returns its data; errors fail the test. */
export async function read<Data>(server: TestServer, document: string): Promise<Data> {
  const { data, errors } = await server.query<Data, object>(document);
  expect(errors).toEqual([]);
  return data;
}

export const KEY = 'sk-live-0123456789abcdefa1b2';

/** Creates a provider with a key and the model `m` at `baseUrl`. */
export async function createProvider(
  server: TestServer,
  slug: string,
  baseUrl: string,
  more: object = {},
  credential?: Credential,
): Promise<string> {
  const input = { name: slug, slug, kind: 'CUSTOM', baseUrl, apiKey: KEY, models: [{ name: 'm' }], ...more };
  const { provider } = await mutate<{ provider: { id: string } }>(
    server,
    'createProvider',
    { input },
    'provider { id slug }',
    credential,
  );
  return provider.id;
}

export interface Health {
  status: string;
  checkedAt: string;
  since: string;
  latencyMs: number | null;
  upstreamStatus: number | null;
  detail: string | null;
}

export async function healthOf(server: TestServer, slug: string): Promise<Health | null> {
  const { data } = await server.query<{ provider: { health: Health | null } }, object>(
    'query($id: ID!) { provider(id: $id) { health { status checkedAt since latencyMs upstreamStatus detail } } }',
    { id: slug },
  );
  return data.provider.health;
}

/** An address on which nobody listens. */
export async function deadAddress(): Promise<string> {
  const upstream = await startUpstream(() => undefined);
  await upstream.close();
  return upstream.url;
}

/** Waits until the provider has this status, and returns its health. */
export function statusOf(server: TestServer, slug: string, status: string): Promise<Health> {
  return until(async () => {
    const health = await healthOf(server, slug);
    return health?.status === status ? health : null;
  }, `the status ${status} of ${slug}`);
}

/** Tests the provider as an admin who has not tested any yet. */
export async function testOf(server: TestServer, slug: string): Promise<{ status: string }> {
  const admin = await anotherAdmin(server);
  return mutate<{ status: string }>(server, 'testProvider', { input: { id: slug } }, 'status', admin);
}

/** Sends a completion and reads its answer. Returns its HTTP status. */
export async function ask(server: TestServer, model: string, signal: AbortSignal | null = null): Promise<number> {
  const response = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] }),
    signal,
  });
  await response.arrayBuffer();
  return response.status;
}
