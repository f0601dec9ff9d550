import { expect } from 'vitest';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import { queryIn } from '../../../src/control/schema/change-configuration.ts';
import { changeRules } from '../../../src/gateway/allowances/change-rules.ts';
import { postBatch } from '../../../src/gateway/ledger/post.ts';
import type { Intent } from '../../../src/gateway/ledger/records.ts';
import { hashApiKey } from '../../../src/platform/crypto.ts';
import { picodollars } from '../../../src/platform/money.ts';
import { intent, settlement, totals } from '../../gateway/ledger/kit.ts';
import { until } from '../../kit/eventually.ts';
import type { Credential, TestServer } from '../../kit/server.ts';
import { json, startUpstream, type Upstream, whole } from '../../kit/upstream.ts';

export interface Budget {
  id: string;
  name: string | null;
  scope: string;
  subject: string | null;
  subjectId: string | null;
  period: string;
  limit: string;
  enforcement: string;
  thresholds: number[];
  periodStartsAt: string | null;
  resetsAt: string | null;
  spent: string;
  held: string;
  remaining: string;
  percentUsed: number;
  crossedThresholds: number[];
  isExceeded: boolean;
  version: number;
}

export const BUDGET = `id isManaged name scope subject subjectId period limit enforcement thresholds periodStartsAt resetsAt spent held
  remaining percentUsed crossedThresholds isExceeded version createdAt updatedAt`;
const SET = `mutation($input: SetBudgetInput!) { setBudget(input: $input) {
  __typename ... on SetBudgetSuccess { budget { ${BUDGET} } } ... on Error { code message } } }`;

export interface SetResult {
  __typename: string;
  budget: Budget;
  code?: string;
  message?: string;
}

export async function trySet(server: TestServer, input: object, credential?: Credential): Promise<SetResult> {
  const { data, errors } = await server.query<{ setBudget: SetResult }, object>(SET, { input }, credential);
  expect(errors).toEqual([]);
  return data.setBudget;
}

/** The budget after it was set. */
export async function set(server: TestServer, input: object, credential?: Credential): Promise<Budget> {
  const result = await trySet(server, input, credential);
  expect(result).toMatchObject({ __typename: 'SetBudgetSuccess' });
  return result.budget;
}

export async function budgets(server: TestServer, credential?: Credential): Promise<Budget[]> {
  const { data, errors } = await server.query<{ budgets: Budget[] }, object>(
    `{ budgets { ${BUDGET} } }`,
    {},
    credential,
  );
  expect(errors).toEqual([]);
  return data.budgets;
}

export interface Person {
  id: string;
  token: string;
}

export async function newUser(
  { services }: TestServer,
  email: string,
  role: 'USER' | 'ADMIN' = 'USER',
): Promise<Person> {
  const data = { email, role, passwordHash: '-' };
  const { id } = await changeAccounts(services, (tx, revision) => tx.user.create({ data: { ...data, revision } }));
  return { id, token: await services.tokens.sign(id) };
}

export async function newKey(
  { services }: TestServer,
  ownerId: string,
  name: string,
): Promise<{ id: string; apiKey: string }> {
  const apiKey = `sbx_${name.padEnd(40, 'k')}`;
  const hash = new Uint8Array(hashApiKey(apiKey));
  const { id } = await changeAccounts(services, (tx, revision) =>
    tx.apiKey.create({ data: { ownerId, name, hash, hint: 'sbx_…kkkk', revision } }),
  );
  return { id, apiKey };
}

/** A provider that takes the prompt for the number of its tokens: at $1 per 1M of them, `"500000"` costs $0.50. */
export function startTill(): Promise<Upstream> {
  return startUpstream((response, received) => {
    const { messages } = JSON.parse(received.body) as { messages: { content: string }[] };
    const tokens = Number(messages.at(-1)?.content);
    const usage = { prompt_tokens: tokens, completion_tokens: 0, total_tokens: tokens };
    return json(whole('', { usage, choices: [choice] }))(response, received);
  });
}

const choice = { index: 0, message: { role: 'assistant', content: 'Thank you.' }, finish_reason: 'stop' };

/** Sends a completion that costs this much, in millionths of a dollar. */
export async function spend(server: TestServer, microdollars: number, credential?: Credential, model = 'default') {
  const { data, errors } = await server.query<{ complete: { __typename: string } }, object>(
    'mutation($input: CompletionInput!) { complete(input: $input) { __typename ... on Error { message } } }',
    { input: { model, messages: [{ role: 'USER', content: `${microdollars}` }] } },
    credential,
  );
  expect(errors).toEqual([]);
  expect(data.complete).toMatchObject({ __typename: 'Completion' });
}

/**
 * Puts a completion of one attempt on the ledger as a drain does, as if it had been admitted at that time.
 * @param at milliseconds since 1970
 */
export async function post(
  { services }: TestServer,
  at: number,
  microdollars: number,
  origin: Partial<Intent['origin']> = {},
  changes: Partial<Intent> = {},
): Promise<void> {
  const of = intent({ startedAt: at, ...changes }, { startedAt: at, ...origin });
  const { attempt, completion } = settlement(of, { cost: picodollars(BigInt(microdollars) * 1_000_000n) });
  if (!completion) throw new Error('It has ended.');
  const client = await services.pool.connect();
  try {
    await postBatch(client, 'another server', totals(), {
      attempts: [{ intent: of, outcome: attempt }],
      completions: [{ origin: of.origin, outcome: completion, attemptCount: 1 }],
      ...{ prices: [], facts: [], position: { segment: 1, offset: 0 } },
    });
  } finally {
    client.release();
  }
}

/** Deletes all budgets, past the API; a drain that posts meanwhile is waited for. */
export async function deleteBudgets({ services }: TestServer): Promise<void> {
  await services.prisma.$transaction(async (tx) => {
    await changeRules(queryIn(tx));
    await tx.budget.deleteMany();
  });
}

export interface Told {
  reason: string;
  budgetId: string;
  threshold: number | null;
  spent: string;
  remaining: string;
  at: string;
  budget?: { id: string; spent: string } | null;
}

export interface Follower {
  events: Told[];
  errors: unknown[];
  stop: () => void;
}

/** Subscribes to `budgetChanged`; resolves once this server knows the subscriber. */
export async function follow(server: TestServer, credential?: Credential, more = ''): Promise<Follower> {
  const { feed } = server.services;
  const before = feed.subscribers('BUDGETS');
  const follower: Follower = { events: [], errors: [], stop: () => undefined };
  follower.stop = server.ws(credential).subscribe<{ budgetChanged: Told }>(
    { query: `subscription { budgetChanged { reason budgetId threshold spent remaining at ${more} } }` },
    {
      next: ({ data, errors }) => {
        if (data) follower.events.push(data.budgetChanged);
        if (errors) follower.errors.push(...errors);
      },
      error: (error) => follower.errors.push(error),
      complete: () => undefined,
    },
  );
  await until(() => feed.subscribers('BUDGETS') === before + 1, 'a subscriber');
  return follower;
}

/** `SPENT 0.5`, `THRESHOLD_CROSSED 50 0.5`, … of one budget. */
export function story({ events }: Follower, budgetId: string): string[] {
  return events
    .filter((event) => event.budgetId === budgetId)
    .map(({ reason, threshold, spent }) => [reason, threshold, spent].filter((part) => part !== null).join(' '));
}

export function thresholdsTold({ events }: Follower, budgetId: string): (number | null)[] {
  return events
    .filter((event) => event.budgetId === budgetId && event.reason === 'THRESHOLD_CROSSED')
    .map(({ threshold }) => threshold);
}
