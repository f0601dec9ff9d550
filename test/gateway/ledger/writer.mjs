// Writes completions until it is killed. Says on stdout what was confirmed to it, line by line, before it goes on.
import { writeSync } from 'node:fs';
import { openLedger } from '../../../dist/gateway/ledger/ledger.js';
import { priceVersion } from '../../../dist/gateway/ledger/prices.js';
import { uuidv7 } from '../../../dist/platform/ids.js';
import { createLog } from '../../../dist/platform/log.js';

const { directory, serverId, clusterId, connection, fsync } = JSON.parse(process.argv[2]);
const log = createLog({ logLevel: 'silent' });
const ledger = await openLedger({
  directory,
  serverId,
  clusterId,
  connection,
  fsync,
  maxBytes: 1 << 30,
  timeZone: 'UTC',
  log,
});
const say = (line) => {
  const bytes = Buffer.from(`${line}\n`);
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(1, bytes, written);
    } catch (error) {
      // Who reads is slow.
      if (error.code !== 'EAGAIN') throw error;
    }
  }
};
const providerId = uuidv7();
const usage = {
  inputTokens: 7,
  outputTokens: 9,
  cachedTokens: null,
  cacheWriteTokens: null,
  cacheWrite1hTokens: null,
  reasoningTokens: null,
};
const targetId = uuidv7();
const facts = [1, 2, 3].map((content) => ({ id: `${content}`.repeat(64), content: [content] }));
const prices = [10, 20, 30].map((rate) => priceVersion({ input: rate, output: rate }));

const answered = { providerId, providerSlug: 'sandbox', model: 'small', targetId, warnings: [] };

function makeIntent(origin, number, price) {
  return {
    origin,
    attemptId: uuidv7(),
    number,
    startedAt: Date.now(),
    providerId,
    providerSlug: 'sandbox',
    providerKeyId: null,
    targetId,
    usedOwnKey: false,
    model: 'small',
    priceVersionId: price.id,
    estimate: { inputTokens: 5, cost: 50n },
    maxLiability: 500n,
    hold: null,
  };
}

async function complete() {
  const fact = facts[Math.floor(Math.random() * facts.length)];
  const origin = {
    completionId: uuidv7(),
    startedAt: Date.now(),
    door: 'OPENAI',
    operation: 'CHAT',
    isStreamed: true,
    userId: null,
    apiKeyId: null,
    routeId: null,
    routeSlug: null,
    requestedModel: null,
    configVersion: 1n,
    decision: { candidates: fact.id, health: fact.id, at: Date.now(), turn: 1, slot: null, probe: null, plan: [0] },
    tags: {},
  };
  ledger.record(fact);
  const attempts = Math.floor(Math.random() * 4);
  if (attempts === 0) await answerFromCache(origin);
  for (let number = 1; number <= attempts; number += 1) {
    const [expected, actual] = [0, 1].map(() => prices[Math.floor(Math.random() * prices.length)]);
    const intent = makeIntent(origin, number, expected);
    await ledger.intend(intent, expected);
    say(`dispatched ${intent.attemptId}`);
    if (Math.random() < 0.5) await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
    const isLast = number === attempts;
    const outcome = {
      status: isLast ? 'SUCCEEDED' : 'FAILED',
      finishedAt: Date.now(),
      upstreamStatus: 200,
      answeredModel: null,
      finishReason: 'stop',
      errorCode: null,
      errorMessage: null,
      usage,
      isEstimated: false,
      cost: 160n,
      costSource: 'PRICED',
      priceVersionId: actual.id,
      latencyMs: 10,
      timeToFirstTokenMs: 1,
    };
    const sums = {
      cost: 160n * BigInt(attempts),
      usage: { ...usage, inputTokens: 7 * attempts, outputTokens: 9 * attempts },
    };
    const completion = { ...outcome, ...sums, ...answered, isCached: false };
    await ledger.settle({ intent, attempt: outcome, completion: isLast ? completion : null }, actual);
    say(`settled ${intent.attemptId}`);
  }
  say(`finished ${origin.completionId}`);
}

async function answerFromCache(origin) {
  await ledger.complete(origin, {
    ...answered,
    status: 'SUCCEEDED',
    finishedAt: Date.now(),
    finishReason: 'stop',
    errorCode: null,
    errorMessage: null,
    usage,
    isEstimated: false,
    cost: 0n,
    latencyMs: 1,
    timeToFirstTokenMs: 1,
    isCached: true,
  });
}

say('started');
for (let lane = 0; lane < 20; lane += 1)
  (async () => {
    for (;;) await complete();
  })();
