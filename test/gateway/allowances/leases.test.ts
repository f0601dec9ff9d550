import fc from 'fast-check';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { LEASES_CHANNEL, writeOffLost } from '../../../src/gateway/allowances/lease-statements.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { createDatabase, type TestDatabase } from '../../kit/database.ts';
import { until } from '../../kit/eventually.ts';
import { Server, USER } from './model.ts';

/** More with LEASE_RUNS. */
const RUNS = Number(process.env.LEASE_RUNS ?? 12);

let database: TestDatabase;
let pool: pg.Pool;
let listener: pg.Client;
let servers: Server[] = [];

beforeAll(async () => {
  database = await createDatabase();
  pool = new pg.Pool({ ...database.connection, max: 12 });
  listener = new pg.Client(database.connection);
  await listener.connect();
  await listener.query(`LISTEN ${LEASES_CHANNEL}`);
  listener.on('notification', ({ payload = '' }) => {
    for (const { leases } of servers) void leases?.notice(payload);
  });
});
afterAll(async () => {
  await listener.end();
  await pool.end();
  await database.drop();
});
afterEach(endServers);

async function endServers(): Promise<void> {
  for (const server of servers) await server.leases?.abandon();
  servers = [];
}

/** A fresh budget, and so many servers. */
async function begin(limit: bigint, count = 3): Promise<Server[]> {
  await endServers();
  await pool.query('DELETE FROM budgets');
  await pool.query('DELETE FROM lease_holders');
  await pool.query('DELETE FROM write_offs');
  await pool.query(
    `INSERT INTO budgets (id, scope, subject_id, period, "limit", enforcement, thresholds, updated_at)
     VALUES ($1, 'USER', $2, 'TOTAL', $3, 'HARD', '{}', now())`,
    [uuidv7(), USER, limit.toString()],
  );
  await pool.query('UPDATE ledger_head SET budgets_version = budgets_version + 1');
  servers = Array.from({ length: count }, (_, index) => new Server(pool, `server-${index}`));
  for (const server of servers) await server.start();
  return servers;
}

async function setLimit(limit: bigint): Promise<void> {
  await pool.query('UPDATE budgets SET "limit" = $1', [limit.toString()]);
  await pool.query('UPDATE allowances SET "limit" = $1', [limit.toString()]);
  await pool.query('UPDATE ledger_head SET budgets_version = budgets_version + 1');
  for (const { leases } of servers) await leases?.refresh();
}

interface Standing {
  limit: bigint;
  settled: bigint;
  leased: bigint;
  leases: { server: string; amount: bigint }[];
}

async function standing(): Promise<Standing> {
  // In one statement: what is idle is given back at any time.
  const { rows } = await pool.query(
    `SELECT "limit"::text, settled::text, leased::text, (SELECT coalesce(json_agg(json_build_object(
       'server', server_id, 'amount', amount::text)), '[]') FROM leases JOIN lease_holders h ON h.id = holder_id) AS leases
     FROM allowances`,
  );
  const { limit = '0', settled = '0', leased = '0', leases = [] } = rows[0] ?? {};
  return {
    ...{ limit: BigInt(limit), settled: BigInt(settled), leased: BigInt(leased) },
    leases: (leases as { server: string; amount: string }[]).map((lease) => ({
      ...lease,
      amount: BigInt(lease.amount),
    })),
  };
}

const promised = () => servers.reduce((sum, server) => sum + server.promised, 0n);

type Step =
  | { do: 'SEND'; server: number; input: number; output: number; times: number }
  | { do: 'SETTLE'; server: number; index: number; percent: number }
  | { do: 'DRAIN' | 'START'; server: number }
  | { do: 'CRASH'; server: number; percent: number }
  | { do: 'LIMIT'; limit: number };

const server = fc.nat(2);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('SEND' as const),
      ...{
        server,
        input: fc.nat(300),
        output: fc.integer({ min: 1, max: 700 }),
        times: fc.integer({ min: 1, max: 4 }),
      },
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('SETTLE' as const), server, index: fc.nat(9), percent: fc.nat(100) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('DRAIN' as const), server }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('CRASH' as const), server, percent: fc.nat(100) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('START' as const), server }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('LIMIT' as const), limit: fc.integer({ min: 1, max: 9_000 }) }) },
);

async function take(step: Step): Promise<void> {
  if (step.do === 'LIMIT') return setLimit(BigInt(step.limit));
  const server = servers[step.server] as Server;
  switch (step.do) {
    case 'SEND': {
      // At once, from several servers: they meet at the same allowance.
      const senders = Array.from({ length: step.times }, (_, index) => servers[(step.server + index) % 3] as Server);
      await Promise.all(senders.map((sender) => sender.send(BigInt(step.input), step.output)));
      return;
    }
    case 'SETTLE':
      return server.settle(step.index, step.percent);
    case 'DRAIN':
      return server.drain();
    case 'CRASH':
      return server.crash(step.percent);
    case 'START':
      return server.start();
  }
}

describe('leases of a hard budget', () => {
  it('never let more be promised than the limit, whatever is sent, settled, killed and changed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        await begin(5_000n);
        let highest = 5_000n;
        for (const each of steps) {
          await take(each);
          if (each.do === 'LIMIT') highest = BigInt(each.limit) > highest ? BigInt(each.limit) : highest;
          const { settled, leased, leases } = await standing();
          expect(leases.reduce((sum, { amount }) => sum + amount, 0n)).toBe(leased);
          // What was granted under a higher limit stays granted.
          expect(settled + leased).toBeLessThanOrEqual(highest);
          expect(promised()).toBeLessThanOrEqual(leased);
        }
        for (const each of servers) {
          await each.start();
          while (each.promised > 0n && each.calls.some(({ cost }) => cost === null)) each.settle(0, 50);
          await each.drain();
          await each.leases?.close();
        }
        const { leased, leases } = await standing();
        expect({ leased, leases }).toEqual({ leased: 0n, leases: [] });
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  }, 120_000);

  it('refuse nobody while what is settled and promised leaves room for the least that is asked', async () => {
    const asked = fc.record({
      ...{ server, input: fc.nat(400), output: fc.integer({ min: 1, max: 400 }), percent: fc.nat(100) },
    });
    await fc.assert(
      fc.asyncProperty(fc.array(asked, { minLength: 10, maxLength: 40 }), async (requests) => {
        await begin(3_000n);
        for (const { server, input, output, percent } of requests) {
          const before = promised();
          const { settled } = await standing();
          const result = await (servers[server] as Server).send(BigInt(input), output);
          const least = BigInt(input + Math.min(output, 16));
          if (result === 'REFUSED') expect(settled + before + least).toBeGreaterThan(3_000n);
          if (result !== 'REFUSED' && result.outputTokens !== null)
            expect(settled + before + BigInt(input + output)).toBeGreaterThan(3_000n);
          if (percent < 60) (servers[server] as Server).settle(percent, percent);
          if (percent % 7 === 0) await (servers[(server + 1) % 3] as Server).drain();
        }
      }),
      { numRuns: RUNS, endOnFailure: true },
    );
  }, 120_000);
});

describe('the lease of a server that is gone', () => {
  it('stays its own for 20 minutes, then is taken for spent, and is put right when its journal comes after all', async () => {
    const [gone, other] = (await begin(1_000n, 2)) as [Server, Server];
    await gone.send(100n, 300);
    await gone.crash(50);
    expect(await writeOffLost(pool)).toEqual([]);
    expect(await other.send(100n, 700)).toMatchObject({ outputTokens: 500 });
    other.settle(0, 0);

    await pool.query(
      "UPDATE lease_holders SET renewed_at = now() - interval '21 minutes' WHERE server_id = 'server-0'",
    );
    expect(await writeOffLost(pool)).toMatchObject([{ serverId: 'server-0', amount: '400' }]);
    expect(await writeOffLost(pool)).toEqual([]);
    expect(await standing()).toMatchObject({ settled: 400n });

    await gone.start();
    await until(async () => (await standing()).settled === 200n, 'what was written off comes back');
    const { rows } = await pool.query('SELECT amount::text FROM write_offs ORDER BY id');
    expect(rows.map(({ amount }) => amount)).toEqual(['400', '-400']);
    await other.leases?.close();
    await gone.leases?.close();
    expect(await standing()).toEqual({ limit: 1_000n, settled: 200n, leased: 0n, leases: [] });
  });
});

describe('the database', () => {
  it('grants nothing above the limit, whoever asks and however, and settles whatever is a fact', async () => {
    await begin(1_000n, 1);
    await (servers[0] as Server).send(1n, 1);
    await expect(pool.query('UPDATE allowances SET leased = leased + 1000')).rejects.toMatchObject({
      constraint: 'allowances_guard_grant',
    });
    await pool.query('UPDATE allowances SET settled = 5000');
    await expect(pool.query('UPDATE allowances SET leased = leased + 1')).rejects.toMatchObject({ code: '23514' });
  });
});
