// What a pick costs on the thread that serves everybody, with 50 targets, for each strategy; and while something is wrong
// with a fifth of them. `npm run bench` prints it; the aim is under 20 µs.
import { candidatesIn } from '../../dist/gateway/routing/facts.js';
import { TargetHealth } from '../../dist/gateway/routing/health.js';
import { Router } from '../../dist/gateway/routing/router.js';

const TARGETS = 50;
const ROUNDS = 7;
const PICKS = 20_000;

function choiceOf(strategy, slots) {
  const facts = {
    route: { id: 'route', version: 1 },
    attempts: 4,
    sections: [
      {
        fallback: null,
        mode: 'AUTO',
        strategy,
        weights: { cost: 50, latency: 30, quality: 20 },
        targets: Array.from({ length: TARGETS }, (_, index) => ({
          id: `target-${index}`,
          provider: `provider-${index}`,
          priority: index,
          weight: 2,
          strategy: 'FAILOVER',
          region: 0,
          tries: 'EACH',
          slots: slots ? [index * 200, (index + 1) * 200] : [],
          models: [{ name: 'm', price: 1 + index, quality: index, contextTokens: null, excluded: null }],
        })),
      },
    ],
  };
  const targets = facts.sections[0].targets.map(({ id, provider }) => ({
    id,
    provider: { id: provider, slug: provider, keys: [{ id: `key-${provider}`, secret: 's', weight: 1 }] },
    model: { name: 'm', price: null, contextTokens: null, maxOutputTokens: null, quality: null },
  }));
  return {
    ...{ route: null, facts, candidates: candidatesIn(facts), targets, countedAs: 'route', countedTargets: new Map() },
    ...{ usesLatency: true, warnings: [] },
  };
}

/** Microseconds for a pick, the median of the rounds. */
function measure(strategy, { sticky = false, troubled = false } = {}) {
  const health = new TargetHealth(10_000);
  const router = new Router(health);
  const choice = choiceOf(strategy, sticky);
  const now = Date.now();
  for (const [index, target] of choice.targets.entries()) {
    for (let call = 0; call < 20; call++) health.measure(target, 'STREAM', 100 + index, now);
    if (troubled && index % 10 === 0)
      for (let call = 0; call < 5; call++) health.note(target, 'STREAM', 'FAILED', [], now);
    if (troubled && index % 10 === 5) health.keys.rest(target.provider.keys[0].id, 'LIMITED', 5_000);
  }
  const times = [];
  for (let round = 0; round < ROUNDS; round++) {
    const startedAt = performance.now();
    for (let turn = 0; turn < PICKS; turn++) {
      const stickyKey = sticky ? `route session-${turn}` : null;
      router.decide(choice, { ownKeys: new Map(), kind: 'STREAM', stickyKey, at: now + 2_000 });
    }
    times.push(((performance.now() - startedAt) * 1_000) / PICKS);
  }
  return times.sort((a, b) => a - b)[ROUNDS >> 1];
}

console.log(`\nµs for a pick among ${TARGETS} targets`);
for (const strategy of ['FAILOVER', 'ROUND_ROBIN', 'WEIGHTED', 'COST', 'LATENCY', 'BALANCED', 'CUSTOM'])
  console.log(
    `${strategy.padEnd(20)} ${measure(strategy).toFixed(1)}, in trouble ${measure(strategy, { troubled: true }).toFixed(1)}`,
  );
console.log(`${'WEIGHTED, sticky'.padEnd(20)} ${measure('WEIGHTED', { sticky: true }).toFixed(1)}`);
