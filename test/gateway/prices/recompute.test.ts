import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import { openLedger } from '../../../src/gateway/ledger/ledger.ts';
import { costOf, type PriceComponents, priceVersion } from '../../../src/gateway/ledger/prices.ts';
import { folder, intent, ledgerDatabase, recordedLog, settlement } from '../ledger/kit.ts';

/** Picodollars per token, up to $1,000 per 1M tokens. */
const rate = fc.nat(1_000_000_000);
const tokens = fc.nat(2_000_000);

const rates = fc.record(
  { input: rate, output: rate, cacheRead: rate, cacheWrite: rate, cacheWrite1h: rate, reasoning: rate },
  { requiredKeys: ['input', 'output'] },
);
const components: fc.Arbitrary<PriceComponents> = fc
  .tuple(rates, fc.uniqueArray(tokens, { maxLength: 3 }), fc.array(rates, { minLength: 3, maxLength: 3 }))
  .map(([base, lengths, tiers]) => ({
    ...base,
    ...(lengths.length > 0 ? { tiers: lengths.map((above, index) => ({ ...(tiers[index] ?? base), above })) } : {}),
  }));
const usage = fc.record({
  inputTokens: tokens,
  outputTokens: tokens,
  cachedTokens: fc.option(tokens),
  cacheWriteTokens: fc.option(tokens),
  cacheWrite1hTokens: fc.option(tokens),
  reasoningTokens: fc.option(tokens),
});

it('a cost is what its row and the price that the row names make, after the journal and Postgres', async () => {
  const database = await ledgerDatabase();
  const { connection, clusterId } = database;
  const { log } = recordedLog();
  const options = {
    directory: folder(),
    serverId: 'server-1',
    clusterId,
    connection,
    fsync: false,
    maxBytes: 1 << 30,
    timeZone: 'UTC',
    log,
  };
  const ledger = await openLedger(options);
  onTestFinished(async () => {
    await ledger.close();
  });
  const calls = fc.sample(fc.record({ components, usage, isExpected: fc.boolean() }), { numRuns: 300, seed: 4 });
  await Promise.all(
    calls.map(async (call) => {
      const price = priceVersion(call.components);
      const cost = costOf(call.usage, price);
      // The model that answers is often not the one that was asked for.
      const expected = call.isExpected ? price : priceVersion({ input: 1, output: 1 });
      const written = intent({ priceVersionId: expected.id });
      await ledger.intend(written, expected);
      const outcome = { usage: call.usage, cost, priceVersionId: price.id };
      await ledger.settle(settlement(written, outcome), price);
    }),
  );
  await ledger.drained();

  const rows = await database.query<
    Record<string, number | null> & { cost: string; components: PriceComponents; id: string }
  >(`
    SELECT p.id, components, cost, input_tokens, output_tokens, cached_tokens, cache_write_tokens, cache_write_1h_tokens,
      reasoning_tokens
    FROM attempts JOIN price_versions p ON p.id = price_version_id WHERE cost_source = 'PRICED'`);
  expect(rows).toHaveLength(300);
  const spent = rows.map((row) => BigInt(row.cost)).sort();
  expect(spent).toEqual(calls.map((call) => costOf(call.usage, priceVersion(call.components))).sort());
  for (const row of rows) {
    const price = priceVersion(row.components);
    expect(price.id).toBe(row.id);
    const cost = costOf(
      {
        inputTokens: row.input_tokens ?? null,
        outputTokens: row.output_tokens ?? null,
        cachedTokens: row.cached_tokens ?? null,
        cacheWriteTokens: row.cache_write_tokens ?? null,
        cacheWrite1hTokens: row.cache_write_1h_tokens ?? null,
        reasoningTokens: row.reasoning_tokens ?? null,
      },
      price,
    );
    expect(`${cost}`).toBe(row.cost);
    expect(cost).toBeGreaterThanOrEqual(0n);
  }
});
