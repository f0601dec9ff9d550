import { describe, expect, it } from 'vitest';
import { STREAMED, WAYS } from './kit/callers.ts';
import { expectError, expectWhole, play } from './kit/play.ts';
import { useStage } from './kit/stage.ts';

const stage = useStage();

/** What a busy machine adds to a limit. */
const SLACK_MS = 1_000;
const LIMIT_MS = 500;

const SILENT = [
  ['takes the request and is silent', 'fault=silent'],
  ['sends headers, and no token in time', 'fault=slow-first-token;firstTokenMs=10000'],
] as const;

describe.concurrent.each(STREAMED)('an answer %s, from a provider that', (way) => {
  const settings = { firstTokenTimeoutMs: LIMIT_MS };

  it.each(SILENT)(
    '%s: the limit of the first token is met, and the provider is not tried twice',
    async (_, controls) => {
      const { seen, calls, outcomes } = await play(stage, way, [{ controls }], settings);
      expectError(seen, 'UPSTREAM_TIMEOUT', 504);
      expect(calls).toEqual([1]);
      expect(outcomes).toEqual(['UPSTREAM_TIMEOUT']);
      expect(seen.ms).toBeGreaterThanOrEqual(LIMIT_MS - 10);
      expect(seen.ms).toBeLessThan(LIMIT_MS + SLACK_MS);
    },
  );

  it.each(SILENT)('%s: another one answers after that limit', async (_, controls) => {
    for (const dialect of ['OPENAI', 'ANTHROPIC', 'GEMINI'] as const) {
      const parts = [{ controls, dialect }, { dialect: 'ANTHROPIC' as const }];
      const { scene, seen, calls, outcomes } = await play(stage, way, parts, settings);
      const [, next] = scene.actors;
      if (next) await expectWhole(stage, way, seen, next);
      expect(calls).toEqual([1, 1]);
      expect(outcomes).toEqual(['UPSTREAM_TIMEOUT', 'SUCCEEDED']);
      expect(seen.ms).toBeGreaterThanOrEqual(LIMIT_MS - 10);
      expect(seen.ms).toBeLessThan(LIMIT_MS + SLACK_MS);
    }
  });

  it('is silent when all others have failed, is not tried again; those are', async () => {
    const parts = [{ controls: 'fault=silent' }, { controls: 'status=503;times=1' }];
    const { scene, seen, calls, outcomes } = await play(stage, way, parts, settings);
    const [, next] = scene.actors;
    if (next) await expectWhole(stage, way, seen, next);
    expect(calls).toEqual([1, 2]);
    expect(outcomes).toEqual(['UPSTREAM_TIMEOUT', 'UPSTREAM', 'SUCCEEDED']);
  });

  it('is slow within the limit, answers', async () => {
    const parts = [{ controls: 'fault=slow-first-token;firstTokenMs=300' }, {}];
    const { scene, seen, calls } = await play(stage, way, parts, { firstTokenTimeoutMs: 3_000 });
    await expectWhole(stage, way, seen, scene.actors[0]);
    expect(calls).toEqual([1, 0]);
    expect(seen.ms).toBeGreaterThanOrEqual(290);
  });

  it('stalls in the middle: the stall limit is met, and the caller is told', async () => {
    const { seen, calls, outcomes } = await play(stage, way, [{ controls: 'fault=stall' }, {}], {
      stallTimeoutMs: LIMIT_MS,
    });
    expectError(seen, 'UPSTREAM_TIMEOUT', 504);
    expect(seen.text).not.toBe('');
    expect(calls).toEqual([1, 0]);
    expect(outcomes).toEqual(['UPSTREAM_TIMEOUT']);
    expect(seen.ms).toBeGreaterThanOrEqual(LIMIT_MS - 10);
    expect(seen.ms).toBeLessThan(LIMIT_MS + SLACK_MS);
  });

  it('stalls in the middle: another one begins anew where the route says so', async () => {
    const settings = { stallTimeoutMs: LIMIT_MS, restartPolicy: 'OTHER_TARGET' as const };
    const question = { headers: { 'x-signalbox-restart': 'allow' } };
    const parts = [{ controls: 'fault=stall' }, { dialect: 'GEMINI' as const }];
    const { scene, seen, calls } = await play(stage, way, parts, settings, question);
    const [, next] = scene.actors;
    if (next) await expectWhole(stage, way, seen, next);
    expect(seen.restarts).toEqual([{ attempt: 2, discarded: expect.stringMatching(/\S/) }]);
    expect(calls).toEqual([1, 1]);
  });
});

describe.concurrent('an answer whole on /v1, from a provider that', () => {
  const way = 'whole on /v1';
  const faults = [
    ['takes the request and is silent', 'fault=silent'],
    ['stalls in the middle', 'fault=stall'],
  ] as const;

  it.each(faults)('%s: its time is up, and it is not tried twice', async (_, controls) => {
    const { seen, calls, outcomes } = await play(stage, way, [{ controls, timeoutMs: 1_000 }]);
    expectError(seen, 'UPSTREAM_TIMEOUT', 504);
    expect(calls).toEqual([1]);
    expect(outcomes).toEqual(['UPSTREAM_TIMEOUT']);
    expect(seen.ms).toBeLessThan(1_000 + SLACK_MS);
  });

  it.each(faults)('%s: another one answers when its time is up', async (_, controls) => {
    const { scene, seen, calls } = await play(stage, way, [{ controls, timeoutMs: 1_000 }, {}]);
    const [, next] = scene.actors;
    if (next) await expectWhole(stage, way, seen, next);
    expect(calls).toEqual([1, 1]);
    expect(seen.ms).toBeGreaterThanOrEqual(990);
    expect(seen.ms).toBeLessThan(1_000 + SLACK_MS);
  });
});

describe.concurrent.each(WAYS)('the time of a route, for an answer %s', (way) => {
  it('is over all attempts together', async () => {
    const parts = [{ controls: 'fault=silent' }, { controls: 'fault=silent' }, {}];
    const settings = { totalTimeoutMs: 1_200, firstTokenTimeoutMs: 800 };
    const { seen, calls } = await play(stage, way, parts, settings);
    expectError(seen, 'UPSTREAM_TIMEOUT', 504);
    expect(calls[2]).toBe(0);
    expect(seen.ms).toBeGreaterThanOrEqual(1_190);
    expect(seen.ms).toBeLessThan(1_200 + SLACK_MS);
  });

  it('is over the retries of a provider that fails', async () => {
    const settings = { totalTimeoutMs: 1_000, maxRetries: 10 };
    const { seen } = await play(stage, way, [{ controls: 'status=503' }], settings);
    expect(seen.isWhole).toBe(false);
    expect(['UPSTREAM', 'UPSTREAM_TIMEOUT']).toContain(seen.error?.code);
    expect(seen.ms).toBeLessThan(1_000 + SLACK_MS);
  });
});
