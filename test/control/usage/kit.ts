import { expect } from 'vitest';
import type { AttemptOutcome, Intent } from '../../../src/gateway/ledger/records.ts';
import { fromUsd } from '../../../src/platform/money.ts';
import { intent, outcome, settlement } from '../../gateway/ledger/kit.ts';
import type { Credential, TestServer } from '../../kit/server.ts';

export const CORRECTION =
  'id reason inputTokens outputTokens cost costSource difference wasUnpriced correctedBy correctedAt';
export const EVENT = `id seq occurredAt recordedAt userId apiKeyId provider isProviderKnown model inputTokens outputTokens
  cachedTokens cacheWriteTokens reasoningTokens cost costSource latencyMs metadata idempotencyKey
  corrections { ${CORRECTION} }`;
const FAILURE = '... on Error { code message } ... on ValidationError { issues { path message } }';
const TRACK = `mutation($input: TrackUsageInput!) { trackUsage(input: $input) { __typename ${FAILURE}
  ... on TrackUsageSuccess { usage { recorded duplicates resolved unpriced cost
    events { isDuplicate event { ${EVENT} } correction { ${CORRECTION} } } } } } }`;
const REPRICE = `mutation($input: RepriceUsageInput!) { repriceUsage(input: $input) { __typename ${FAILURE}
  ... on RepriceUsageSuccess { repricing { isDryRun attempts events before after difference stillUnpriced moreFrom
    lines { provider model attempts events before after difference stillUnpriced } } } } }`;

export interface UsageCorrection {
  id: string;
  reason: string;
  inputTokens: number | null;
  outputTokens: number | null;
  cost: string;
  difference: string;
  wasUnpriced: boolean;
  correctedBy: string | null;
}

export interface UsageEvent {
  id: string;
  seq: string;
  occurredAt: string;
  provider: string;
  model: string;
  cost: string | null;
  metadata: object;
  corrections: UsageCorrection[];
  [field: string]: unknown;
}

interface Failure {
  __typename: string;
  code?: string;
  message?: string;
  issues?: { path: string; message: string }[];
}

export interface Tracked {
  recorded: number;
  duplicates: number;
  resolved: number;
  unpriced: number;
  cost: string;
  events: { isDuplicate: boolean; event: UsageEvent | null; correction: UsageCorrection | null }[];
}

export interface Repriced {
  isDryRun: boolean;
  attempts: number;
  events: number;
  before: string;
  after: string;
  difference: string;
  stillUnpriced: number;
  moreFrom: string | null;
  lines: Record<string, unknown>[];
}

export async function tryTrack(
  server: TestServer,
  events: readonly object[],
  credential?: Credential,
): Promise<Failure & { usage?: Tracked }> {
  const { data, errors } = await server.query<{ trackUsage: Failure }, object>(
    TRACK,
    { input: { events } },
    credential,
  );
  expect(errors).toEqual([]);
  return data.trackUsage;
}

/** What became of a report that is in order. */
export async function track(server: TestServer, events: readonly object[], credential?: Credential): Promise<Tracked> {
  const { usage, ...failure } = await tryTrack(server, events, credential);
  return usage ?? expect.fail(JSON.stringify(failure));
}

/** One event of a model that costs $1 per 1M input tokens and $2 per 1M output tokens. */
export function event(changes: object = {}): object {
  return { provider: 'shop', model: 'm', inputTokens: 1_000, outputTokens: 100, ...changes };
}

export async function reprice(server: TestServer, input: object = {}): Promise<Repriced> {
  const span = { from: new Date(Date.now() - 86_400_000), to: new Date(Date.now() + 60_000) };
  const { data, errors } = await server.query<{ repriceUsage: Failure & { repricing?: Repriced } }, object>(REPRICE, {
    input: { ...span, ...input },
  });
  expect(errors).toEqual([]);
  const { repricing, ...failure } = data.repriceUsage;
  return repricing ?? expect.fail(JSON.stringify(failure));
}

/** A provider `shop`, whose address nobody answers at, with models that have prices or not. */
export async function openShop(server: TestServer, models: readonly object[] = [PRICED, { name: 'free-of-price' }]) {
  const { errors, data } = await server.query<{ createProvider: Failure }, object>(
    `mutation($input: CreateProviderInput!) { createProvider(input: $input) { __typename ${FAILURE} } }`,
    { input: { name: 'Shop', slug: 'shop', baseUrl: 'http://127.0.0.1:9/v1', models } },
  );
  expect(errors).toEqual([]);
  expect(data.createProvider).toMatchObject({ __typename: 'CreateProviderSuccess' });
}

const PRICED = { name: 'm', inputPrice: '1', outputPrice: '2' };

/** Gives a model of the shop a price, or takes it away. */
export async function setPrice(server: TestServer, model: string, inputPrice: string | null, outputPrice = inputPrice) {
  const { data, errors } = await server.query<{ updateModel: Failure }, object>(
    `mutation($input: UpdateModelInput!) { updateModel(input: $input) { __typename ${FAILURE} } }`,
    { input: { id: `shop/${model}`, inputPrice, outputPrice } },
  );
  expect(errors).toEqual([]);
  expect(data.updateModel).toMatchObject({ __typename: 'UpdateModelSuccess' });
}

export interface Call extends Partial<Omit<AttemptOutcome, 'cost'>> {
  model?: string;
  cost?: bigint | null;
  userId?: string;
  usedOwnKey?: boolean;
  held?: bigint;
  targetId?: string;
}

/** Puts a completion with calls to the shop on the ledger: all but the last failed over. Returns what the last intended. */
export async function logCompletion(server: TestServer, calls: readonly Call[]): Promise<Intent[]> {
  const { ledger, snapshots, prisma } = server.services;
  const { id: providerId = '' } = snapshots.current.providersBySlug.get('shop') ?? {};
  const admin = await prisma.user.findFirstOrThrow({ where: { role: 'ADMIN' } });
  const { origin } = intent({}, { userId: calls[0]?.userId ?? admin.id });
  const intents: Intent[] = [];
  for (const [
    index,
    { model = 'm', usedOwnKey = false, held, targetId = null, userId: _, cost, ...changes },
  ] of calls.entries()) {
    const hold = held === undefined ? null : { holderId: origin.completionId, allowanceIds: [], amount: held as never };
    const of: Intent = {
      ...intent({ number: index + 1, providerId, providerSlug: 'shop', model, usedOwnKey, targetId }),
      ...{ origin, hold },
    };
    intents.push(of);
    const ended = { answeredModel: null, ...changes, cost: (cost ?? null) as never };
    const isLast = index === calls.length - 1;
    await ledger.intend(of);
    if (isLast) {
      const attempts = [...calls.slice(0, -1), calls.at(-1)].map((call) => call?.cost ?? null);
      const sum = attempts.includes(null) ? null : attempts.reduce((total: bigint, one) => total + (one ?? 0n), 0n);
      const tokens = calls.map((call) => outcome(call as object).usage);
      const add = (name: 'inputTokens' | 'outputTokens' | 'cachedTokens' | 'reasoningTokens') => {
        const known = tokens.flatMap((usage) => usage[name] ?? []);
        return known.length > 0 ? known.reduce((total, count) => total + count, 0) : null;
      };
      const usage = {
        ...{ inputTokens: add('inputTokens'), outputTokens: add('outputTokens'), cachedTokens: add('cachedTokens') },
        ...{ reasoningTokens: add('reasoningTokens'), cacheWriteTokens: null, cacheWrite1hTokens: null },
      };
      await ledger.settle(settlement(of, ended, { usage, cost: sum as never }));
    } else await ledger.settle({ intent: of, attempt: outcome(ended), completion: null });
  }
  await ledger.drained();
  return intents;
}

/** What the metrics of the last day say, in picodollars and numbers. */
export async function totals(server: TestServer, credential?: Credential) {
  const { data, errors } = await server.query<{ metrics: { summary: Record<string, string> } }, object>(
    `{ metrics(range: LAST_24_HOURS) { summary { requests succeeded attempts inputTokens outputTokens cachedTokens
       reasoningTokens cost unpricedRequests averageLatencyMs } } }`,
    {},
    credential,
  );
  expect(errors).toEqual([]);
  const { summary } = data.metrics;
  return { ...summary, cost: fromUsd(summary.cost ?? '') as bigint };
}
