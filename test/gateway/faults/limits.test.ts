import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { WAYS } from './kit/callers.ts';
import { expectError, expectWhole, gapsOf, play, playAgain } from './kit/play.ts';
import { useStage } from './kit/stage.ts';

const stage = useStage();

const KEYS = [
  ['with a key', ['sk-a-key-of-the-tests-1']],
  ['without a key', []],
] as const;
const CASES = WAYS.flatMap((way) => KEYS.map(([name, keys]) => [name, way, keys] as const));

describe.concurrent.each(CASES)('a provider %s that limits its requests, asked by an answer %s', (_, way, keys) => {
  it('is called again after the time it asks for, where there is no other', async () => {
    const parts = [{ controls: 'status=429;retryAfter=1;times=1', keys }];
    const { scene, seen, calls, outcomes } = await play(stage, way, parts);
    await expectWhole(stage, way, seen, scene.actors[0]);
    expect(calls).toEqual([2]);
    expect(outcomes).toEqual(['RATE_LIMITED', 'SUCCEEDED']);
    expect(gapsOf(scene.actors[0])[0]).toBeGreaterThanOrEqual(1_000);
    expect(seen.ms).toBeLessThan(4_000);
  });

  it('is waited for in whichever words it asks for time', async () => {
    for (const dialect of ['ANTHROPIC', 'GEMINI'] as const) {
      const parts = [{ controls: 'status=429;retryAfter=1;times=1', keys, dialect }];
      const { scene, seen, calls } = await play(stage, way, parts);
      await expectWhole(stage, way, seen, scene.actors[0]);
      expect(calls).toEqual([2]);
      expect(gapsOf(scene.actors[0])[0]).toBeGreaterThanOrEqual(1_000);
    }
  });

  it('is not waited for where another one can answer, and is left alone for that time', async () => {
    const parts = [{ controls: 'status=429;retryAfter=2;times=1', keys }, { dialect: 'ANTHROPIC' as const }];
    const { scene, seen, calls, outcomes } = await play(stage, way, parts);
    const [first, second] = scene.actors;
    if (second) await expectWhole(stage, way, seen, second);
    expect(calls).toEqual([1, 1]);
    expect(outcomes).toEqual(['RATE_LIMITED', 'SUCCEEDED']);
    expect(seen.ms).toBeLessThan(1_500);
    const soon = await playAgain(stage, way, scene);
    if (second) await expectWhole(stage, way, soon.seen, second);
    expect(soon.calls).toEqual([0, 1]);
    await delay(2_100);
    const later = await playAgain(stage, way, scene);
    await expectWhole(stage, way, later.seen, first);
    expect(later.calls).toEqual([1, 0]);
  });

  it('is not waited for longer than half a minute: the caller is told when to come back', async () => {
    const { seen, calls } = await play(stage, way, [{ controls: 'status=429;retryAfter=40', keys }]);
    expectError(seen, 'RATE_LIMITED', 429);
    expect(calls).toEqual([1]);
    expect(seen.retryAfter).toBeGreaterThanOrEqual(38);
    expect(seen.retryAfter).toBeLessThanOrEqual(40);
    expect(seen.ms).toBeLessThan(1_500);
  });

  it('is not waited for longer than the route has time', async () => {
    const { seen, calls } = await play(stage, way, [{ controls: 'status=429;retryAfter=5', keys }], {
      totalTimeoutMs: 2_000,
    });
    expectError(seen, 'RATE_LIMITED', 429);
    expect(calls).toEqual([1]);
    expect(seen.retryAfter).toBeGreaterThanOrEqual(4);
    expect(seen.ms).toBeLessThan(1_500);
  });

  it('and does not say for how long, is left for another one at once', async () => {
    const { scene, seen, calls } = await play(stage, way, [{ controls: 'status=429', keys }, {}]);
    const [, second] = scene.actors;
    if (second) await expectWhole(stage, way, seen, second);
    expect(calls).toEqual([1, 1]);
    expect(seen.ms).toBeLessThan(1_500);
  });

  it('and does not say for how long, is told of when there is no other', async () => {
    const { seen, ledger } = await play(stage, way, [{ controls: 'status=429', keys }]);
    expectError(seen, 'RATE_LIMITED', 429);
    expect(seen.retryAfter).toBeGreaterThan(0);
    expect(ledger.attempts.length).toBeLessThanOrEqual(4);
    expect(seen.ms).toBeLessThan(5_000);
  });
});

describe.concurrent.each(WAYS)('a provider that limits a key, asked by an answer %s', (way) => {
  it('is called with its other key, and the limited one rests', async () => {
    const parts = [{ keys: ['sk-limited-0123456789', 'sk-fine-0123456789'] }, {}];
    const scene = await stage.set(parts);
    const [first] = scene.actors;
    const hints = () => first.sandbox.requests().map(({ keyHint }) => keyHint);
    // The two keys take turns, so one of the first two calls meets the limited one.
    const one = await playKeyed();
    const two = await playKeyed();
    expect([...one, ...two].sort()).toEqual(['RATE_LIMITED', 'SUCCEEDED', 'SUCCEEDED']);
    const limited = new Set(hints());
    expect(limited.size).toBe(2);
    const before = hints().length;
    expect(await playKeyed()).toEqual(['SUCCEEDED']);
    expect(await playKeyed()).toEqual(['SUCCEEDED']);
    // Both went with the key that is well.
    expect(new Set(hints().slice(0, hints().length - before)).size).toBe(1);

    async function playKeyed(): Promise<string[]> {
      const { seen, outcomes } = await playAgain(stage, way, scene, {}, false);
      expect(seen.provider).toBe(first.slug);
      expect(seen.isWhole).toBe(true);
      return outcomes;
    }
  });
});
