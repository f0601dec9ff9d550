import { once } from '../../platform/once.ts';
import type { CompletionFilter } from '../completions/completions.ts';
import { type ProviderSums, readProviderPercentiles, readProviders } from './by-provider.ts';
import type { Percentiles, Query } from './rollup-query.ts';
import type { Span } from './span.ts';
import { readPercentiles, readSummary, type Summary } from './summary.ts';

/** Numbers about a span. Each part is one statement, sent when somebody first asks for it. */
export interface MetricsReading {
  span: Span;
  filter: CompletionFilter;
  summary: () => Promise<Summary>;
  percentiles: () => Promise<Percentiles>;
  providers: () => Promise<readonly (ProviderSums & { provider: string })[]>;
  /** By slug. */
  providerPercentiles: () => Promise<ReadonlyMap<string, Percentiles>>;
}

/** @param filter of what the reader may see */
export function readMetrics(query: Query, span: Span, filter: CompletionFilter): MetricsReading {
  return {
    span,
    filter,
    summary: once(() => readSummary(query, span, filter)),
    percentiles: once(() => readPercentiles(query, span, filter)),
    providers: once(() => readProviders(query, span, filter)),
    providerPercentiles: once(() => readProviderPercentiles(query, span, filter)),
  };
}
