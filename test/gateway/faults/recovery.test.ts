import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { ask, type Seen, WAYS, type Way } from './kit/callers.ts';
import { expectAgreement, ledgerOf } from './kit/ledger.ts';
import { type Part, type Scene, useStage } from './kit/stage.ts';

const INTERVAL_MS = 1_000;
const stage = useStage({ circuitProbeMs: INTERVAL_MS });

interface Arrival {
  /** Since the outage began, in milliseconds. */
  at: number;
  way: Way;
  seen: Seen;
}

/** Sends completions, one every 50 ms, while the first provider is down for `downMs` and for `afterMs` after that. */
async function arrive(scene: Scene, downMs: number, afterMs: number): Promise<Arrival[]> {
  const [first] = scene.actors;
  const arrivals: Promise<Arrival>[] = [];
  for (let at = 0; at < 3; at++) expect((await ask(stage.server, scene.route, 'whole on /v1')).isWhole).toBe(true);
  await first.goDown();
  const startedAt = performance.now();
  const back = delay(downMs).then(() => first.comeBack());
  for (let count = 0; performance.now() - startedAt < downMs + afterMs; count++) {
    const at = performance.now() - startedAt;
    const way = WAYS[count % WAYS.length] ?? 'subscribed to';
    arrivals.push(ask(stage.server, scene.route, way).then((seen) => ({ at, way, seen })));
    await delay(50);
  }
  await back;
  return Promise.all(arrivals);
}

async function checkLedger(arrivals: readonly Arrival[]): Promise<void> {
  for (const { seen } of arrivals) {
    // Who was turned away because nobody can answer made no attempt.
    if (seen.attempts === 0 || seen.attempts === null) continue;
    expectAgreement(seen, await ledgerOf(stage.server, seen.requestId));
  }
}

describe('a provider that is down for three seconds and comes back', { timeout: 40_000 }, () => {
  const downMs = 3_000;

  it('is not missed by anybody where another can answer, and has its traffic back', async () => {
    const parts: Part[] = [{}, { dialect: 'GEMINI' }];
    const scene = await stage.set(parts);
    const [first, second] = scene.actors;
    const well = new Map<string, string>();
    for (const way of WAYS) {
      for (const actor of scene.actors)
        well.set(`${actor.slug} ${way}`, (await ask(stage.server, actor.healthy, way)).text);
    }
    const arrivals = await arrive(scene, downMs, 3_000);
    for (const { seen, way } of arrivals) {
      expect(seen).toMatchObject({ isWhole: true, error: null });
      expect(seen.text).toBe(well.get(`${seen.provider} ${way}`));
      expect(seen.attempts).toBeLessThanOrEqual(2);
      expect(seen.ms).toBeLessThan(3_000);
    }
    const during = arrivals.filter(({ at }) => at < downMs - 500);
    expect(during.every(({ seen }) => seen.provider === second?.slug)).toBe(true);
    const after = arrivals.filter(({ at }) => at > downMs + 2 * INTERVAL_MS + 200);
    expect(after.length).toBeGreaterThan(3);
    expect(after.every(({ seen }) => seen.provider === first.slug && seen.attempts === 1)).toBe(true);
    await checkLedger(arrivals);
  });

  it('leaves clear errors where nobody else can answer, and all is well within two intervals', async () => {
    const scene = await stage.set([{}]);
    const arrivals = await arrive(scene, downMs, 4_000);
    for (const { seen } of arrivals) {
      if (seen.isWhole) continue;
      expect(['UPSTREAM', 'OVERLOADED']).toContain(seen.error?.code);
      if (seen.status !== null) expect([502, 503]).toContain(seen.status);
      expect(seen.text).toBe('');
      expect(seen.ms).toBeLessThan(5_000);
    }
    expect(arrivals.some(({ seen }) => !seen.isWhole)).toBe(true);
    const after = arrivals.filter(({ at }) => at > downMs + 2 * INTERVAL_MS + 200);
    expect(after.length).toBeGreaterThan(3);
    expect(after.every(({ seen }) => seen.isWhole)).toBe(true);
    await checkLedger(arrivals);
  });

  it('breaks the streams that run, each with a clear error', async () => {
    const controls = 'outputTokens=200;tokensPerSecond=100';
    const scene = await stage.set([{ controls }]);
    const running = WAYS.filter((way) => way !== 'whole on /v1').map((way) => ask(stage.server, scene.route, way));
    await delay(700);
    await scene.actors[0].goDown();
    for (const seen of await Promise.all(running)) {
      expect(seen).toMatchObject({ isWhole: false, error: { code: 'UPSTREAM' } });
      expect(seen.text).not.toBe('');
      expectAgreement(seen, await ledgerOf(stage.server, seen.requestId));
    }
    await scene.actors[0].comeBack();
  });
});
