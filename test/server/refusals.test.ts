import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { budgetExceeded, insufficientCredits } from '../../src/gateway/allowances/refusals.ts';
import type { BudgetRule } from '../../src/gateway/allowances/rules.ts';
import type { CompletionRequest } from '../../src/gateway/completion.ts';
import type { Shortage, SignalboxError } from '../../src/platform/errors.ts';
import { uuidv7 } from '../../src/platform/ids.ts';
import { picodollars } from '../../src/platform/money.ts';
import { newKey, newUser, type Person } from '../control/budgets/kit.ts';
import { type Credential, startServer, type TestServer } from '../kit/server.ts';

const SHORTAGE: Shortage = {
  remaining: picodollars(120_000_000_000n),
  limit: picodollars(5_000_000_000_000n),
  openHolds: picodollars(500_000_000_000n),
  needed: picodollars(300_000_000_000n),
};
const SPAN = { startsAt: new Date('2026-11-01T00:00:00Z'), endsAt: new Date('2026-12-01T00:00:00Z') };
const RESETS_AT = '2026-12-01T00:00:00.000Z';
const FACTS = { remaining: '0.12', limit: '5', needed: '0.3' };
const HIDDEN = { remaining: null, limit: null, needed: '0.3' };
const id = uuidv7();

const FIELDS = `__typename ... on Error { code message }
  ... on BudgetExceededError { budgetId remaining limit openHolds needed resetsAt }
  ... on InsufficientCreditsError { left: remaining granted: limit held: openHolds need: needed }`;
const INPUT = { messages: [{ role: 'USER', content: 'Hello!' }] };

let server: TestServer;
let ann: Person;
let annsKey: string;
beforeAll(async () => {
  server = await startServer();
  ann = await newUser(server, 'ann@example.com');
  annsKey = (await newKey(server, ann.id, 'ann')).apiKey;
});
afterEach(() => vi.restoreAllMocks());
afterAll(() => server.close());

/** Every completion is refused by this from now on. */
function refuse(by: (request: CompletionRequest) => SignalboxError): void {
  vi.spyOn(server.services.gateway, 'complete').mockImplementation(async function* (request) {
    yield { type: 'failed', error: by(request), report: null, requestId: request.requestId ?? '' };
  });
}

const budget = (scope: BudgetRule['scope'], name: string | null = null) =>
  refuse(({ caller }) => budgetExceeded({ id, name, scope }, SPAN, SHORTAGE, caller));

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
async function call(apiKey: string, stream: boolean) {
  const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey });
  const messages = [{ role: 'user' as const, content: 'Hello!' }];
  const error: unknown = await openai.chat.completions.create({ model: 'default', messages, stream }).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof OpenAI.APIError)) throw new Error('It was not refused.');
  return { status: error.status, ...(error.error as Record<string, unknown>) };
}

describe('a completion that a hard budget has too little left for', () => {
  it('tells whose budget it is what is left of it', async () => {
    budget('USER', 'Mine');
    const result = await complete(ann);
    expect(result).toEqual({
      ...{ __typename: 'BudgetExceededError', code: 'BUDGET_EXCEEDED', budgetId: id, openHolds: '0.5', ...FACTS },
      resetsAt: RESETS_AT,
      message:
        'The budget "Mine" has $0.12 left of $5, with $0.5 set aside for completions that are running, and this one can cost up to $0.3. It begins anew at 2026-12-01T00:00:00.000Z. Ask for fewer tokens, or for a higher limit.',
    });
  });

  it.each(['EVERYTHING', 'ROUTE', 'PROVIDER'] as const)(
    'of %s, tells users nothing of what others spend',
    async (scope) => {
      budget(scope, 'The secret takeover');
      const result = await complete(ann);
      expect(result).toMatchObject({ budgetId: null, openHolds: null, ...HIDDEN, resetsAt: RESETS_AT });
      expect(result.message).toMatch(/^A budget of this Signalbox has too little left .* up to \$0\.3\./);
      const answer = await call(annsKey, false);
      expect(answer).toMatchObject({ budget_id: null, open_holds: null, ...HIDDEN, resets_at: RESETS_AT });
      for (const text of [JSON.stringify(result), JSON.stringify(answer)])
        expect(text).not.toMatch(/takeover|0\.12|"5"/);
      expect(await complete()).toMatchObject({ budgetId: id, openHolds: '0.5', ...FACTS });
    },
  );

  it('ends a subscription with the same facts', async () => {
    budget('API_KEY');
    const document = `subscription($input: CompletionInput!) { completion(input: $input) {
      __typename ... on CompletionFailed { error { ${FIELDS} } } } }`;
    const client = server.ws({ apiKey: annsKey });
    const events = [];
    for await (const event of client.iterate({ query: document, variables: { input: INPUT } })) events.push(event);
    const error = { __typename: 'BudgetExceededError', budgetId: id, openHolds: '0.5', ...FACTS, resetsAt: RESETS_AT };
    expect(events).toMatchObject([{ data: { completion: { __typename: 'CompletionFailed', error } } }]);
  });

  it.each([false, true])('is 402 to the OpenAI SDK, which does not try again (stream: %s)', async (stream) => {
    budget('API_KEY');
    expect(await call(annsKey, stream)).toMatchObject({
      ...{ status: 402, type: 'insufficient_quota', code: 'budget_exceeded', param: null, budget_id: id },
      ...{ open_holds: '0.5', resets_at: RESETS_AT, ...FACTS },
      message: expect.stringMatching(/^The budget of this API key has \$0\.12 left of \$5/),
    });
    expect(server.services.gateway.complete).toHaveBeenCalledTimes(1);
  });
});

describe('a completion that credits are too few for', () => {
  it('tells what is left of them, also below nothing', async () => {
    refuse(() => insufficientCredits({ ...SHORTAGE, remaining: picodollars(-1n), openHolds: picodollars(0n) }));
    const facts = { left: '-0.000000000001', granted: '5', held: '0', need: '0.3' };
    expect(await complete(ann)).toEqual({
      ...{ __typename: 'InsufficientCreditsError', code: 'INSUFFICIENT_CREDITS', ...facts },
      message:
        'Your balance of credits has $0 left of $5, and this one can cost up to $0.3. Ask for fewer tokens, or ask an admin for more credits.',
    });
    const answer = await call(annsKey, false);
    expect(answer).toMatchObject({ status: 402, code: 'insufficient_credits', remaining: facts.left, limit: '5' });
    expect(answer).not.toHaveProperty('budget_id');
  });
});
