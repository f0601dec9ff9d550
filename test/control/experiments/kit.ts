import { expect } from 'vitest';
import type { RequestStatus } from '../../../src/gateway/ledger/records.ts';
import { picodollars } from '../../../src/platform/money.ts';
import { intent, settlement } from '../../gateway/ledger/kit.ts';
import type { TestServer } from '../../kit/server.ts';

const DIFFERENCE = 'difference low high relative pValue adjustedPValue isSignificant test';
const COMPARISON = `variant baseline isSampleTooSmall missing errorRate { ${DIFFERENCE} } latencyMs { ${DIFFERENCE} }
  timeToFirstTokenMs { ${DIFFERENCE} } cost { ${DIFFERENCE} }
  judged { wins losses ties winRate low high pValue adjustedPValue isSignificant }`;
const VARIANT = `id label provider models percentage requests succeeded failed cancelled indeterminate errorRate
  errorRateLow errorRateHigh sampled averageLatencyMs latencyP50Ms latencyP95Ms latencyP99Ms averageTimeToFirstTokenMs
  timeToFirstTokenP50Ms timeToFirstTokenP95Ms cost averageCost unpricedRequests averageInputTokens averageOutputTokens
  wins losses ties`;
export const SPLIT_COMPARISON = `query($input: SplitComparisonInput!) { splitComparison(input: $input) {
  from to baseline route { slug } variants { ${VARIANT} } comparisons { ${COMPARISON} }
  recommendation { action text winner percentages { variant percentage } } } }`;
const COST = 'requests unpricedRequests cost monthlyCost';
export const COST_ANALYSIS = `query($input: CostAnalysisInput!) { costAnalysis(input: $input) {
  from to measuredDays route { slug } ${COST} variants { id label provider models percentage ${COST} averageCost
    monthlyRequests savings { to ofAll ofTenPercent } } } }`;

type Row = Record<string, unknown>;

export interface Difference {
  difference: number | string;
  low: number | string;
  high: number | string;
  pValue: number;
  adjustedPValue: number;
  isSignificant: boolean;
  test: string;
}

export interface SplitComparison {
  from: string;
  to: string;
  baseline: string | null;
  variants: (Row & { id: string })[];
  comparisons: {
    variant: string;
    baseline: string;
    isSampleTooSmall: boolean;
    missing: string | null;
    errorRate: Difference | null;
    latencyMs: Difference | null;
    timeToFirstTokenMs: Difference | null;
    cost: Difference | null;
    judged: Row | null;
  }[];
  recommendation: {
    action: string;
    text: string;
    winner: string | null;
    percentages: { variant: string; percentage: number }[];
  };
}

export interface CostAnalysis extends Row {
  measuredDays: number;
  variants: (Row & { id: string; cost: string; savings: Row[] })[];
}

async function ask<Data>(server: TestServer, document: string, input: object): Promise<Data> {
  const { data, errors } = await server.query<Record<string, Data>, object>(document, { input });
  expect(errors).toEqual([]);
  return Object.values(data)[0] as Data;
}

export const splitComparison = (server: TestServer, input: object) =>
  ask<SplitComparison | null>(server, SPLIT_COMPARISON, input);

export const costAnalysis = (server: TestServer, input: object) =>
  ask<CostAnalysis | null>(server, COST_ANALYSIS, input);

/** One upstream call, as a test wants it to have been. */
export interface Call {
  targetId: string;
  status?: RequestStatus;
  latencyMs?: number;
  firstTokenMs?: number | null;
  /** Picodollars; null: unknown. */
  cost?: bigint | null;
  /** From 1. */
  number?: number;
}

/** Puts calls on the ledger, each of a completion of its own, and waits until they are there. */
export async function logCalls(server: TestServer, routeId: string, calls: readonly Call[]): Promise<void> {
  const { ledger } = server.services;
  await Promise.all(
    calls.map(
      async ({ targetId, status = 'SUCCEEDED', latencyMs = 100, firstTokenMs = null, cost = 1_000n, number = 1 }) => {
        const call = intent({ targetId, number }, { routeId, routeSlug: 'split' });
        await ledger.intend(call);
        await ledger.settle(
          settlement(call, {
            ...{ status, latencyMs, timeToFirstTokenMs: firstTokenMs },
            ...{ cost: cost === null ? null : picodollars(cost), costSource: cost === null ? null : 'PRICED' },
          }),
        );
      },
    ),
  );
  await ledger.drained();
}

/** Records a judgement; what is not given is as usual. */
export async function recordComparison(server: TestServer, input: object): Promise<Row> {
  const usual = { prompt: 'Why?', answerA: 'Because.', answerB: 'So.', winner: 'A', judge: 'HUMAN' };
  const fields = `id routeId variantA variantB prompt answerA answerB winner judge judgeName scoreA scoreB notes recordedBy`;
  const document = `mutation($input: RecordComparisonInput!) { recordComparison(input: $input) {
    ... on RecordComparisonSuccess { comparison { ${fields} } } ... on Error { code message }
    ... on ValidationError { issues { path message } } } }`;
  return ask<Row>(server, document, { ...usual, ...input });
}
