import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Services } from '../control/schema/context.ts';
import { isAdmin } from '../gateway/admission/caller.ts';
import { AuthenticationError } from '../platform/errors.ts';
import { clientAddress } from './client-address.ts';
import { credentialOf, identify } from './identify.ts';

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300];

/** `/metrics` for Prometheus, for admins: it tells what everyone together uses. Labels are providers and statuses only, so that their number stays bounded. */
export function registerPrometheus(app: FastifyInstance, services: Services): void {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const completions = new Counter({
    name: 'signalbox_completions_total',
    help: 'Completions that have ended.',
    labelNames: ['provider', 'status'] as const,
    registers,
  });
  const attempts = new Counter({
    name: 'signalbox_attempts_total',
    help: 'Upstream calls that have ended.',
    labelNames: ['provider', 'status'] as const,
    registers,
  });
  const tokens = new Counter({
    name: 'signalbox_tokens_total',
    help: 'Tokens, by direction.',
    labelNames: ['provider', 'direction'] as const,
    registers,
  });
  const cost = new Counter({
    name: 'signalbox_cost_usd_total',
    help: 'Cost in USD; approximate, the ledger is exact.',
    labelNames: ['provider'] as const,
    registers,
  });
  const latency = new Histogram({
    name: 'signalbox_completion_seconds',
    help: 'Time from admission to the end.',
    labelNames: ['provider'] as const,
    buckets: SECONDS,
    registers,
  });
  const firstToken = new Histogram({
    name: 'signalbox_first_token_seconds',
    help: 'Time from admission to the first token of a stream.',
    labelNames: ['provider'] as const,
    buckets: SECONDS,
    registers,
  });
  gauge('signalbox_completions_running', 'Completions on their way.', () => services.gateway.running);
  gauge(
    'signalbox_circuits_open',
    'Targets that failed again and again, and are left alone.',
    () => services.gateway.openCircuits,
  );
  gauge('signalbox_metrics_views', 'Live views of metrics that somebody watches.', () => services.liveViews.size);
  gauge(
    'signalbox_metrics_events_dropped',
    'Live metrics that a slow reader did not get since the start, because newer ones took their place.',
    () => services.liveViews.dropped,
  );
  gauge(
    'signalbox_held_usd',
    'Dollars set aside of hard budgets and credits for the calls that run, counted once for each of them.',
    () => Number(services.leases.held) / 1e12,
  );
  gauge('signalbox_journal_pending_bytes', 'Journal not yet in Postgres.', () => services.ledger.status().pendingBytes);
  gauge(
    'signalbox_journal_max_bytes',
    'Journal not yet in Postgres at which completions are refused.',
    () => services.ledger.status().maxBytes,
  );

  // One lookup for each provider in place of one for each number.
  const series = new Map<string, ReturnType<typeof ofProvider>>();
  const ofProvider = (provider: string) => ({
    input: tokens.labels({ provider, direction: 'input' }),
    output: tokens.labels({ provider, direction: 'output' }),
    cost: cost.labels({ provider }),
    latency: latency.labels({ provider }),
    firstToken: firstToken.labels({ provider }),
  });

  services.gateway.onFinished((report) => {
    const provider = report.provider ?? 'none';
    let of = series.get(provider);
    if (!of) {
      of = ofProvider(provider);
      series.set(provider, of);
    }
    completions.inc({ provider, status: report.status });
    for (const attempt of report.attempts) attempts.inc({ provider: attempt.provider, status: attempt.status });
    of.input.inc(report.usage.inputTokens ?? 0);
    of.output.inc(report.usage.outputTokens ?? 0);
    if (report.cost !== null) of.cost.inc(Number(report.cost) / 1e12);
    of.latency.observe(report.latencyMs / 1000);
    if (report.timeToFirstTokenMs !== null) of.firstToken.observe(report.timeToFirstTokenMs / 1000);
  });

  app.get('/metrics', async (request, reply) => {
    const address = clientAddress(request.raw, services.settings);
    const caller = await identify(credentialOf(request.headers), address, services);
    if (!isAdmin(caller)) throw new AuthenticationError('Send an admin API key: "Authorization: Bearer sbx_…".');
    reply.header('content-type', registry.contentType);
    return registry.metrics();
  });

  function gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  }
}
