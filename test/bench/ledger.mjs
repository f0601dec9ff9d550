// What the ledger costs: servers without it, with it, with budgets and credits that hold money for every request, and with
// the journal synced to the disk, each before the same upstream, in turns, beside the bare proxy of the same round. The
// drain runs on its worker thread all along, and is waited for after each turn, so that nobody works off another's journal.
import { once } from 'node:events';
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

/** In this order each adds one thing to the one before it. */
const MODES = {
  'no ledger': { env: { BENCH_LEDGER: 'off' } },
  ledger: {},
  'and holds': { hasLimits: true },
  'and fsync': { hasLimits: true, env: { JOURNAL_FSYNC: 'on' } },
};

async function open(upstreamUrl, { env, hasLimits = false }) {
  const server = await startSignalbox(upstreamUrl, { file: 'test/bench/watched.mjs', env, isTold: true });
  if (hasLimits) await setLimits(server);
  return server;
}

/** Three hard budgets and credits, so large that nothing is refused. */
async function setLimits({ ask, apiKeyId }) {
  const { me } = await ask('{ me { id } }');
  const limit = { limit: '1000000', period: 'MONTHLY', enforcement: 'HARD' };
  const subjects = [
    { scope: 'EVERYTHING' },
    { scope: 'USER', subject: me.id },
    { scope: 'API_KEY', subject: apiKeyId },
  ];
  for (const subject of subjects) {
    const { setBudget } = await ask(
      `mutation ($input: SetBudgetInput!) { setBudget(input: $input) { __typename ... on Error { message } } }`,
      { input: { ...limit, ...subject } },
    );
    if (setBudget.message) throw new Error(setBudget.message);
  }
  const { grantCredits } = await ask(
    `mutation ($input: GrantCreditsInput!) { grantCredits(input: $input) { __typename ... on Error { message } } }`,
    { input: { userId: me.id, amount: '1000000' } },
  );
  if (grantCredits.message) throw new Error(grantCredits.message);
}

/** How many statements the main thread sends while a load runs. */
async function statementsUnder({ child }, target, options) {
  const asked = async () => {
    child.send('statements');
    return (await once(child, 'message'))[0];
  };
  const before = await asked();
  const { requests, perSecond } = await load(target, options);
  const statements = (await asked()) - before;
  return { requests, perSecond, statements };
}

function print(flat, rate) {
  const names = Object.keys(flat);
  const rounded = (value) => Number(value.toFixed(2));
  console.table(
    Object.fromEntries(
      names.map((name, index) => {
        const before = rate[names[Math.max(0, index - 1)]];
        return [
          name,
          {
            'requests/s': Math.round(flat[name].perSecond),
            'of bare': rounded(flat[name].ofBare),
            'p50 ms': rounded(flat[name].p50),
            'p99 ms': rounded(flat[name].p99),
            [`p50 ms at ${RATE}/s`]: rounded(rate[name].p50),
            [`p99 ms at ${RATE}/s`]: rounded(rate[name].p99),
            'adds p50 ms': rounded(rate[name].p50 - before.p50),
            'adds p99 ms': rounded(rate[name].p99 - before.p99),
          },
        ];
      }),
    ),
  );
}

async function main() {
  const upstream = await startUpstream();
  const { plain, through } = requestsOf();
  const servers = {};
  for (const [name, mode] of Object.entries(MODES)) servers[name] = await open(upstream.url, mode);
  const targets = { bare: plain(upstream.bareUrl) };
  for (const [name, server] of Object.entries(servers)) targets[name] = through(server);
  const after = async (name) => servers[name] && (await settled(servers[name]));

  console.log(
    `\nThe ledger: ${ROUNDS} rounds of ${SECONDS} s each, medians. ${CONNECTIONS} connections flat out; then ${RATE} requests a second.`,
  );
  for (const [name, target] of Object.entries(targets)) {
    await load(target, { seconds: 2, connections: CONNECTIONS });
    await after(name);
  }
  const flat = await compare(targets, { seconds: SECONDS, connections: CONNECTIONS }, after);
  const rate = await compare(targets, { seconds: SECONDS, ratePerSecond: RATE }, after);
  print(flat, rate);

  for (const name of ['ledger', 'and holds']) {
    const options = { seconds: SECONDS, connections: CONNECTIONS };
    const { requests, statements } = await statementsUnder(servers[name], targets[name], options);
    console.log(
      `${name}: the main thread sent ${statements} statements in ${SECONDS} s with ${requests} requests, ` +
        `${((statements * 1_000) / requests).toFixed(1)} for 1,000 of them.`,
    );
    await after(name);
  }
}

try {
  await main();
} finally {
  await stopAll();
}
