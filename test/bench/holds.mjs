// What it costs the thread that serves everybody to hold money for an attempt and to settle it. Postgres is asked for
// leases only, which is in it. `npm run bench` prints it.
import { Leases } from '../../dist/gateway/allowances/leases.js';
import { createPool } from '../../dist/platform/database/connection.js';
import { log, median, openPostgres, seedAllowances } from './postgres.mjs';

const ROUNDS = 7;
const HOLDS = 50_000;
/** As many run at once. */
const OPEN = 32;
const COST = 123_456_789n;

const postgres = await openPostgres();
const pool = createPool(postgres.connection, { max: 2, applicationName: 'bench' });
let statements = 0;
pool.query = (...parameters) => {
  statements += 1;
  return Object.getPrototypeOf(pool).query.apply(pool, parameters);
};
try {
  const ids = await seedAllowances(postgres.connection);
  const leases = await Leases.open({ pool, serverId: 'bench', timeZone: 'UTC', drained: async () => {}, log });
  const limited = { userId: ids.user, apiKeyId: ids.apiKey, routeId: null, providerId: ids.provider };
  const cases = {
    '3 budgets and credits': { spender: limited, creditsId: ids.credits },
    '1 budget': { spender: { ...limited, userId: null, apiKeyId: null }, creditsId: null },
  };
  console.log(`\nHolding and settling, ns each pair (medians of ${ROUNDS} rounds of ${HOLDS}, ${OPEN} at once)`);
  for (const [name, limits] of Object.entries(cases)) {
    const times = [];
    const before = statements;
    for (let round = 0; round < ROUNDS; round++) times.push(await pairs(leases, limits));
    console.log(
      `${name.padEnd(22)} ${median(times).toFixed(0).padStart(5)}   ${statements - before} statements in all`,
    );
  }
  await leases.close();
} finally {
  await pool.end();
  await postgres.close();
}

/** Nanoseconds for a hold and its settlement. */
async function pairs(leases, limits) {
  const open = [];
  const startedAt = performance.now();
  for (let count = 0; count < HOLDS; count++) {
    const held = leases.hold({
      limits: leases.limitsOf({ ...limits, at: Date.now() }),
      worst: { input: 8_000_000n, perToken: 1_600_000n, outputTokens: 4_096, fewestTokens: 16 },
    });
    // A promise only when Postgres has to be asked.
    open.push(held instanceof Promise ? await held : held);
    if (open.length === OPEN) open.shift().settle(COST);
  }
  for (const held of open) held.settle(COST);
  return ((performance.now() - startedAt) * 1e6) / HOLDS;
}
