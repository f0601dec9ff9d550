import dns from 'node:dns';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { changeAccounts } from '../../src/control/accounts/change-accounts.ts';
import { hashPassword } from '../../src/control/accounts/passwords.ts';
import { ADMIN, startServer, type TestServer } from '../kit/server.ts';
import { Dice, type GeneratedOperation, OperationGenerator } from './generate.ts';
import { schema } from './graphql-fields.ts';
import { codesIn, expectCivil, expectClean, expectUnharmed, readAnswer, watchFaults } from './kit.ts';

/** A third of them go over WebSocket. More with FUZZ_OPERATIONS. */
const OPERATIONS = Number(process.env.FUZZ_OPERATIONS ?? 8_000);
const LANES = 12;
/** How long a subscription is listened to. */
const LISTEN_MS = 15;
/** Of a run that failed, to have it again. */
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000);

let server: TestServer;
let credentials: (string | null)[];
const watch = watchFaults();
const lookUp = dns.lookup;

beforeAll(async () => {
  // Whatever address a generated provider gets, nobody outside this machine is called.
  dns.lookup = ((host: string, ...rest: unknown[]) => {
    if (host === 'localhost' || host === '127.0.0.1') return (lookUp as (...all: unknown[]) => void)(host, ...rest);
    (rest.at(-1) as (error: Error) => void)(Object.assign(new Error('not found'), { code: 'ENOTFOUND' }));
  }) as typeof dns.lookup;
  server = await startServer({ rateLimitPerMinute: 0, firstTokenTimeoutMs: 1_000, stallTimeoutMs: 1_000 });
  const { services } = server;
  const passwordHash = await hashPassword('correct horse battery');
  const user = await changeAccounts(services, (tx, revision) =>
    tx.user.create({ data: { email: 'user@example.com', passwordHash, tier: 'ENTERPRISE', revision } }),
  );
  const admin = await changeAccounts(services, (tx, revision) =>
    tx.user.create({
      data: { email: 'second@example.com', passwordHash, role: 'ADMIN', tier: 'ENTERPRISE', revision },
    }),
  );
  const sign = (id: string) => services.tokens.sign(id);
  credentials = [null, server.apiKey, await sign(user.id), await sign(admin.id), await sign(admin.id)];
});
afterAll(async () => {
  dns.lookup = lookUp;
  await server.close();
  watch.stop();
});

it(`${OPERATIONS} generated operations bring about no fault (FUZZ_SEED=${SEED})`, async () => {
  const dice = new Dice(SEED);
  const operations = new OperationGenerator(schema, dice);
  const counts = new Map<string, number>();
  const count = (what: string) => counts.set(what, (counts.get(what) ?? 0) + 1);
  let sent = 0;
  await Promise.all(
    Array.from({ length: LANES }, async () => {
      while (sent < OPERATIONS) {
        const isOverWebSocket = sent++ % 3 === 0;
        const operation = operations.next();
        const credential = dice.pick(credentials);
        if (isOverWebSocket) await overWebSocket(operation, credential, dice, operations, count);
        else await overHttp(operation, credential, dice, operations, count);
      }
    }),
  );
  console.log(
    `fuzz: seed ${SEED}, ${[...counts]
      .sort()
      .map(([what, times]) => `${what} ${times}`)
      .join(', ')}`,
  );
  expect([...counts.values()].reduce((sum, times) => sum + times)).toBe(OPERATIONS);
  expect(counts.get('data') ?? 0).toBeGreaterThan(OPERATIONS / 20);
  expect(counts.get('VALIDATION') ?? 0).toBeGreaterThan(OPERATIONS / 20);
}, 300_000);

it('after all of this the server is unharmed', async () => {
  // Some of the operations were right, and switched off, moved or deleted what answered.
  const sandbox = {
    name: 'After the fuzz',
    slug: 'after-the-fuzz',
    kind: 'SANDBOX',
    models: [{ name: 'sandbox-small', inputPrice: '1', outputPrice: '2' }],
  };
  const { data } = await server.query<{ createProvider: object; activateProvider: object }, object>(
    `mutation ($sandbox: CreateProviderInput!) {
      createProvider(input: $sandbox) { __typename ... on Error { message } }
      activateProvider(id: "after-the-fuzz") { __typename ... on Error { message } }
    }`,
    { sandbox },
  );
  expect(data).toMatchObject({
    createProvider: { __typename: 'CreateProviderSuccess' },
    activateProvider: { __typename: 'ActivateProviderSuccess' },
  });
  // They may have set hard budgets, too, and granted credits that limit.
  const { budgets } = (await server.query<{ budgets: { id: string }[] }, object>('{ budgets { id } }')).data;
  for (const { id } of budgets)
    await server.query('mutation ($id: ID!) { deleteBudget(id: $id) { __typename } }', { id });
  const input = { userId: ADMIN.email, amount: '1000' };
  await server.query('mutation ($input: GrantCreditsInput!) { grantCredits(input: $input) { __typename } }', { input });
  await expectUnharmed(server, watch);
}, 60_000);

type Count = (what: string) => void;

async function overHttp(
  { kind, query, variables }: GeneratedOperation,
  credential: string | null,
  dice: Dice,
  operations: OperationGenerator,
  count: Count,
): Promise<void> {
  const controller = new AbortController();
  const headers: Record<string, string> = {
    accept: dice.pick(['application/json', 'application/graphql-response+json', 'text/event-stream', '*/*']),
    ...(credential ? { authorization: `Bearer ${credential}` } : {}),
  };
  const body = JSON.stringify({ query, variables });
  const isGet = kind === 'query' && dice.chance(0.2) && body.length < 4_000;
  const sent = dice.chance(0.02) ? operations.damage(body) : body;
  const search = new URLSearchParams({ query: wellFormed(query), variables: JSON.stringify(variables) });
  const response = await (isGet
    ? fetch(`${server.url}/graphql?${search}`, { headers, signal: controller.signal })
    : fetch(`${server.url}/graphql`, {
        ...{ method: 'POST', body: wellFormed(sent), signal: controller.signal },
        headers: { ...headers, 'content-type': 'application/json' },
      }));
  const answer = { status: response.status, body: await readAnswer(response, controller, LISTEN_MS) };
  expectCivil(answer, sent);
  tally(answer.body, count);
}

/** One socket with one or two operations and perhaps some frames that mean nothing. */
async function overWebSocket(
  { kind, query, variables }: GeneratedOperation,
  credential: string | null,
  dice: Dice,
  operations: OperationGenerator,
  count: Count,
): Promise<void> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  const said: string[] = [];
  const frame = JSON.stringify({ id: '1', type: 'subscribe', payload: { query, variables } });
  const isWhole = dice.chance(0.95);
  const frames = [isWhole ? frame : operations.damage(frame)];
  if (dice.chance(0.1))
    frames.push(dice.pick(['{"type":"ping"}', '{"id":"1","type":"complete"}', frame, '{}', '[]', 'x']));
  await new Promise<void>((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`no end of ${frames.join()}`)), 20_000);
    const finish = () => {
      clearTimeout(limit);
      resolve();
    };
    socket.on('error', reject);
    socket.on('open', () =>
      socket.send(
        JSON.stringify({
          type: 'connection_init',
          payload: credential ? { authorization: `Bearer ${credential}` } : {},
        }),
      ),
    );
    socket.on('close', (_code, reason) => {
      said.push(String(reason));
      finish();
    });
    socket.on('message', (data) => {
      const text = String(data);
      said.push(text);
      const { type } = JSON.parse(text) as { type: string };
      if (type === 'connection_ack') {
        for (const one of frames) socket.send(one);
        if (kind === 'subscription' || frames.length > 1 || !isWhole) setTimeout(() => socket.close(), LISTEN_MS);
      }
      if (type === 'complete' || type === 'error') socket.close();
    });
  });
  socket.terminate();
  for (const text of said) {
    expectClean(text, frames);
    if (codesIn(text).includes('INTERNAL')) expect.fail(`${frames.join()} → ${text}`);
  }
  tally(said.join(), count);
}

function tally(text: string, count: Count): void {
  const [code] = codesIn(text);
  count(code ?? (text.includes('"data"') ? 'data' : 'nothing'));
}

/** UTF-8 has no half surrogate pairs. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}
