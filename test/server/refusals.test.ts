import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { deleteBudgets, newKey, newUser, type Person, set, startTill } from '../control/budgets/kit.ts';
import { type Credential, startServer, type TestServer } from '../kit/server.ts';
import { connectProviders, type Upstream } from '../kit/upstream.ts';

const FIELDS = `__typename ... on Error { code message }
  ... on BudgetExceededError { budgetId remaining limit openHolds needed resetsAt }`;
const INPUT = { model: 'default', messages: [{ role: 'USER', content: '1' }], maxOutputTokens: 100 };
/** Less than any completion can cost. */
const LITTLE = '0.000001';
const HIDDEN = { remaining: null, limit: null };

let server: TestServer;
let till: Upstream;
let ann: Person;
let key: { id: string; apiKey: string };
beforeAll(async () => {
  server = await startServer();
  till = await startTill();
  await connectProviders(server, { till });
  ann = await newUser(server, 'ann@example.com');
  key = await newKey(server, ann.id, 'ann');
});
afterEach(async () => {
  vi.restoreAllMocks();
  await deleteBudgets(server);
  await server.services.leases.refresh();
});
afterAll(async () => {
  await server.close();
  await till.close();
});

async function complete(credential?: Credential): Promise<Record<string, unknown>> {
  const document = `mutation($input: CompletionInput!) { complete(input: $input) { ${FIELDS} } }`;
  const { data, errors } = await server.query<{ complete: Record<string, unknown> }, object>(
    document,
    { input: INPUT },
    credential,
  );
  expect(errors).toEqual([]);
  return data.complete;
}

/** What the OpenAI SDK throws. */
async function call(apiKey: string, stream = false) {
  const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey });
  const messages = [{ role: 'user' as const, content: '1' }];
  const error: unknown = await openai.chat.completions.create({ model: 'default', messages, stream }).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OpenAI.APIError)) throw new Error('It was not refused.');
  return { status: error.status, ...(error.error as Record<string, unknown>) };
}

describe('a completion that a hard budget has too little left for', () => {
  it('tells whose budget it is what is left of it', async () => {
    const { id, resetsAt } = await set(server, { limit: LITTLE, name: 'Mine' }, ann);
    const result = await complete(ann);
    expect(result).toMatchObject({
      __typename: 'BudgetExceededError',
      code: 'BUDGET_EXCEEDED',
      budgetId: id,
      resetsAt,
    });
    expect(result).toMatchObject({ limit: LITTLE, remaining: LITTLE, openHolds: '0' });
    expect(Number(result.needed)).toBeGreaterThan(Number(LITTLE));
    expect(result.message).toMatch(
      /^The budget "Mine" .* has \$0\.000001 left of \$0\.000001, and the request may cost/,
    );
    expect(till.received).toEqual([]);
  });

  it.each([{ scope: 'EVERYTHING' }, { scope: 'ROUTE', subject: 'default' }, { scope: 'PROVIDER', subject: 'till' }])(
    'tells users nothing of what others spend: %o',
    async (input) => {
      const { id, resetsAt } = await set(server, { limit: LITTLE, name: 'The secret takeover', ...input });
      const result = await complete(ann);
      expect(result).toMatchObject({ budgetId: null, openHolds: null, ...HIDDEN, resetsAt });
      expect(result.message).toMatch(
        /^A budget that an admin has set has too little left: the request may cost up to \$/,
      );
      const answer = await call(key.apiKey);
      expect(answer).toMatchObject({ status: 402, budget_id: null, open_holds: null, ...HIDDEN, resets_at: resetsAt });
      for (const text of [JSON.stringify(result), JSON.stringify(answer)])
        expect(text).not.toMatch(/takeover|0\.000001"/);
      expect(await complete()).toMatchObject({ budgetId: id, openHolds: '0', remaining: LITTLE, limit: LITTLE });
    },
  );

  it('ends a subscription with the same facts', async () => {
    const { id } = await set(server, { limit: LITTLE, scope: 'API_KEY', subject: key.id, period: 'TOTAL' }, ann);
    const document = `subscription($input: CompletionInput!) { completion(input: $input) {
      __typename ... on CompletionFailed { error { ${FIELDS} } } } }`;
    const events = [];
    for await (const event of server.ws(key).iterate({ query: document, variables: { input: INPUT } }))
      events.push(event);
    const error = { __typename: 'BudgetExceededError', budgetId: id, remaining: LITTLE, limit: LITTLE, resetsAt: null };
    expect(events).toMatchObject([{ data: { completion: { __typename: 'CompletionFailed', error } } }]);
  });

  it.each([false, true])('is 402 to the OpenAI SDK, which does not try again (stream: %s)', async (stream) => {
    const { id, resetsAt } = await set(server, { limit: LITTLE, scope: 'API_KEY', subject: key.id }, ann);
    const take = vi.spyOn(server.services.rateLimiter, 'take');
    expect(await call(key.apiKey, stream)).toMatchObject({
      ...{ status: 402, type: 'insufficient_quota', code: 'budget_exceeded', param: null, budget_id: id },
      ...{ remaining: LITTLE, limit: LITTLE, open_holds: '0', resets_at: resetsAt },
    });
    expect(take).toHaveBeenCalledTimes(1);
  });
});
