import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ask, type Seen, WAYS } from './kit/callers.ts';
import { expectAgreement, ledgerOf } from './kit/ledger.ts';
import { expectWhole, gapsOf } from './kit/play.ts';
import { type Actor, type Scene, useStage } from './kit/stage.ts';

/** One probe may be made in each of these. */
const INTERVAL_MS = 1_000;
/** How many calls in a row must fail for a circuit to open. */
const FAILURES = 5;

const stage = useStage({ circuitProbeMs: INTERVAL_MS });

/** Sends many completions at the same time. */
function crowd(scene: Scene, size: number): Promise<Seen[]> {
  return Promise.all(
    Array.from({ length: size }, (_, at) => ask(stage.server, scene.route, WAYS[at % WAYS.length] ?? 'subscribed to')),
  );
}

/** Lets a provider fail, call after call, until its circuit is open. */
async function openCircuit(scene: Scene): Promise<void> {
  for (let at = 0; at < FAILURES; at++) await ask(stage.server, scene.route, 'whole on /v1');
  expect(scene.actors[0].calls()).toHaveLength(FAILURES);
}

function callsSince(actor: Actor, before: number): number {
  return actor.calls().length - before;
}

describe('a provider that failed five times in a row', () => {
  const controls = 'status=503';

  it('is not called by a hundred at once, who are told so quickly', async () => {
    const scene = await stage.set([{ controls }], { maxRetries: 0 });
    await openCircuit(scene);
    const startedAt = performance.now();
    const all = await crowd(scene, 100);
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    // Sending a hundred may take longer than an interval; then there is one probe in each.
    const intervals = Math.ceil((performance.now() - startedAt) / INTERVAL_MS);
    expect(callsSince(scene.actors[0], FAILURES)).toBeLessThanOrEqual(intervals);
    const skipped = all.filter(({ attempts }) => !attempts);
    expect(skipped.length).toBeGreaterThanOrEqual(100 - intervals);
    for (const seen of skipped) {
      expect(seen).toMatchObject({ isWhole: false, text: '', error: { code: 'OVERLOADED' } });
      if (seen.status !== null) expect(seen.status).toBe(503);
      expect(seen.retryAfter).toBeGreaterThanOrEqual(1);
    }
  });

  it('is probed by one of a hundred when the interval has passed', async () => {
    const scene = await stage.set([{ controls }], { maxRetries: 0 });
    await openCircuit(scene);
    await delay(INTERVAL_MS + 100);
    const startedAt = performance.now();
    const all = await crowd(scene, 100);
    const intervals = Math.ceil((performance.now() - startedAt) / INTERVAL_MS);
    const probes = callsSince(scene.actors[0], FAILURES);
    expect(probes).toBeGreaterThanOrEqual(1);
    expect(probes).toBeLessThanOrEqual(intervals);
    expect(all.filter(({ attempts }) => attempts === 1)).toHaveLength(probes);
  });

  it('is not called by a hundred at once who have another, and all get the whole answer', async () => {
    const scene = await stage.set([{ controls }, { dialect: 'ANTHROPIC' }]);
    await openCircuit(scene);
    const [first, second] = scene.actors;
    const startedAt = performance.now();
    const all = await crowd(scene, 100);
    const intervals = Math.ceil((performance.now() - startedAt) / INTERVAL_MS);
    expect(callsSince(first, FAILURES)).toBeLessThanOrEqual(intervals);
    for (const seen of all) expect(seen).toMatchObject({ isWhole: true, provider: second?.slug });
    // Those who were spared the failure made one call.
    expect(all.filter(({ attempts }) => attempts === 1).length).toBeGreaterThanOrEqual(100 - intervals);
    const [seen] = all;
    if (seen && second) await expectWhole(stage, WAYS[0] ?? 'subscribed to', seen, second);
    for (const one of all) expectAgreement(one, await ledgerOf(stage.server, one.requestId));
  });

  it('gets at most one probe in an interval, however long it lasts', { timeout: 20_000 }, async () => {
    const scene = await stage.set([{ controls }, {}]);
    await openCircuit(scene);
    const until = performance.now() + 4 * INTERVAL_MS;
    const asked: Promise<Seen>[] = [];
    for (; performance.now() < until; await delay(20)) asked.push(ask(stage.server, scene.route, 'streamed on /v1'));
    for (const seen of await Promise.all(asked)) expect(seen.isWhole).toBe(true);
    const gaps = gapsOf(scene.actors[0]).slice(FAILURES - 1);
    expect(gaps.length).toBeGreaterThanOrEqual(2);
    // Timers and two clocks may differ a little.
    for (const gap of gaps) expect(gap).toBeGreaterThanOrEqual(INTERVAL_MS - 50);
  });

  it('has its traffic back within two intervals of its recovery', { timeout: 20_000 }, async () => {
    for (const others of [[], [{}]]) {
      const scene = await stage.set([{ controls: 'status=503;forMs=2000' }, ...others], { maxRetries: others.length });
      const [first] = scene.actors;
      const startedAt = Date.now();
      await openCircuit(scene);
      const recoveredAt = (first.calls()[0]?.startedAt.getTime() ?? startedAt) + 2_000;
      let backAt = 0;
      for (; backAt === 0 && Date.now() < startedAt + 10_000; await delay(50)) {
        const seen = await ask(stage.server, scene.route, 'streamed on /v1');
        if (seen.isWhole && seen.provider === first.slug) backAt = Date.now();
        else if (others.length > 0) expect(seen.isWhole).toBe(true);
      }
      expect(backAt).toBeGreaterThan(0);
      expect(backAt - recoveredAt).toBeLessThan(2 * INTERVAL_MS + 500);
      const before = first.calls().length;
      const all = await crowd(scene, 30);
      for (const seen of all) expect(seen).toMatchObject({ isWhole: true, provider: first.slug });
      expect(callsSince(first, before)).toBe(30);
    }
  });
});

describe('what opens no circuit', () => {
  it('is a client whose requests are wrong', async () => {
    const scene = await stage.set([{ controls: 'status=400;times=8' }], { maxRetries: 0 });
    for (let at = 0; at < 8; at++) await ask(stage.server, scene.route, 'whole on /v1');
    expect(await ask(stage.server, scene.route, 'whole on /v1')).toMatchObject({ isWhole: true });
    expect(scene.actors[0].calls()).toHaveLength(9);
  });

  it('is four failures and a success', async () => {
    const scene = await stage.set([{ controls: 'status=503;times=4' }], { maxRetries: 0 });
    for (let at = 0; at < 4; at++) expect((await ask(stage.server, scene.route, 'whole on /v1')).isWhole).toBe(false);
    for (let at = 0; at < 4; at++) expect((await ask(stage.server, scene.route, 'whole on /v1')).isWhole).toBe(true);
  });

  it('is the outage of another model of the same provider', async () => {
    const scene = await stage.set([{ controls: 'status=503' }], { maxRetries: 0 });
    await openCircuit(scene);
    const [first] = scene.actors;
    expect(await ask(stage.server, first.healthy, 'streamed on /v1')).toMatchObject({ isWhole: true });
  });
});
