// `npm run bench`: a bare ten-line proxy and Signalbox before the same upstream, in one run on one machine, so that the
// ratios mean something where the absolute numbers do not. Signalbox runs with everything on: key check, rate limit,
// journal, ledger drained into Postgres. Nothing passes or fails by these numbers.
import {
  CONNECTIONS,
  compare,
  load,
  RATE,
  ROUNDS,
  requestsOf,
  SECONDS,
  settled,
  startSignalbox,
  startUpstream,
  stopAll,
} from './processes.mjs';

async function main() {
  const upstream = await startUpstream();
  const signalbox = await startSignalbox(upstream.url);
  console.log(
    `${ROUNDS} rounds of ${SECONDS} s each, medians. ${CONNECTIONS} connections flat out; then ${RATE} requests a second.\n`,
  );
  for (const stream of [false, true]) {
    const { plain, through } = requestsOf({ stream });
    const targets = { upstream: plain(upstream.url), bare: plain(upstream.bareUrl), signalbox: through(signalbox) };
    for (const target of Object.values(targets)) await load(target, { seconds: 2, connections: CONNECTIONS });
    const flat = await compare(targets, { seconds: SECONDS, connections: CONNECTIONS });
    const rate = await compare(targets, { seconds: SECONDS, ratePerSecond: RATE });
    print(stream ? 'streamed' : 'not streamed', flat, rate);
  }
  // The ledger must have every request that was answered; how long that takes is the drain's rate.
  const startedAt = Date.now();
  await settled(signalbox);
  const { metrics } = await signalbox.ask('{ metrics { summary { requests cost } } }');
  console.log(
    `On the ledger: ${metrics.summary.requests} requests, $${metrics.summary.cost}; drained ${((Date.now() - startedAt) / 1000).toFixed(1)} s after the load.`,
  );
}

function print(title, flat, rate) {
  console.log(title);
  console.table(
    Object.fromEntries(
      Object.keys(flat).map((key) => [
        key,
        {
          'requests/s': Math.round(flat[key].perSecond),
          'of bare': Number(flat[key].ofBare.toFixed(2)),
          [`p50 ms at ${RATE}/s`]: Number(rate[key].p50.toFixed(2)),
          'p99 ms': Number(rate[key].p99.toFixed(2)),
          'added p50 ms': Number((rate[key].p50 - rate.upstream.p50).toFixed(2)),
          'added p99 ms': Number((rate[key].p99 - rate.upstream.p99).toFixed(2)),
        },
      ]),
    ),
  );
}

try {
  await main();
} finally {
  await stopAll();
}
