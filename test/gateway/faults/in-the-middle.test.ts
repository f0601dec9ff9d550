import { describe, expect, it } from 'vitest';
import { ask, STREAMED, WAYS } from './kit/callers.ts';
import { expectError, expectWhole, play } from './kit/play.ts';
import { useStage } from './kit/stage.ts';

const stage = useStage();

/** A stream breaks off after two thirds. */
const BREAKS = {
  'is cut': 'fault=cut',
  'ends without a finish reason': 'fault=end',
  'tells an error': 'fault=mid-error',
};
const CASES = Object.entries(BREAKS);
const ALLOW = { headers: { 'x-signalbox-restart': 'allow' } };
const RESTART = { restartPolicy: 'OTHER_TARGET' as const };

describe.each(STREAMED)('a stream %s that', (way) => {
  it.each(CASES)('%s never looks complete, and nobody else continues it', async (_, controls) => {
    for (const dialect of ['OPENAI', 'ANTHROPIC', 'GEMINI'] as const) {
      const { scene, seen, calls, ledger } = await play(stage, way, [{ controls, dialect }, {}], {}, ALLOW);
      expectError(seen, 'UPSTREAM', 502);
      expect(calls).toEqual([1, 0]);
      expect(seen.restarts).toEqual([]);
      const well = await ask(stage.server, scene.actors[0].healthy, way);
      expect(seen.text.length).toBeGreaterThan(well.text.length / 3);
      expect(well.text.startsWith(seen.text)).toBe(true);
      expect(seen.text).not.toBe(well.text);
      // What was relayed is billed.
      expect(Number(ledger.attempts[0]?.cost)).toBeGreaterThan(0);
      expect(ledger.attempts[0]?.costSource).toBe('PRICED');
    }
  });

  it.each(CASES)('%s begins anew elsewhere where the route and the caller say so', async (_, controls) => {
    const parts = [{ controls }, { dialect: 'ANTHROPIC' as const }];
    const { scene, seen, calls, ledger } = await play(stage, way, parts, RESTART, ALLOW);
    const [, next] = scene.actors;
    if (next) await expectWhole(stage, way, seen, next);
    expect(calls).toEqual([1, 1]);
    expect(seen.restarts).toEqual([{ attempt: 2, discarded: expect.stringMatching(/\S/) }]);
    // Both are on the ledger: what was discarded, and what took its place.
    expect(ledger.attempts.map(({ status }) => status)).toEqual(['FAILED', 'SUCCEEDED']);
    for (const { cost } of ledger.attempts) expect(Number(cost)).toBeGreaterThan(0);
  });

  it('breaks off at every place begins anew as often as there are others', async () => {
    const parts = [{ controls: 'fault=cut' }, { controls: 'fault=mid-error;faultAfter=3' }, {}];
    const { scene, seen, calls } = await play(stage, way, parts, RESTART, ALLOW);
    const [, , last] = scene.actors;
    if (last) await expectWhole(stage, way, seen, last);
    expect(calls).toEqual([1, 1, 1]);
    expect(seen.restarts.map(({ attempt }) => attempt)).toEqual([2, 3]);
  });

  it('breaks off with nobody else to begin anew ends with an error', async () => {
    const { seen, calls } = await play(stage, way, [{ controls: 'fault=cut' }], RESTART, ALLOW);
    expectError(seen, 'UPSTREAM', 502);
    expect(calls).toEqual([1]);
  });
});

describe('a stream on /v1 whose caller does not know of beginning anew', () => {
  it.each(CASES)('and that %s ends with an error', async (_, controls) => {
    const { seen, calls } = await play(stage, 'streamed on /v1', [{ controls }, {}], RESTART);
    expectError(seen, 'UPSTREAM', 502);
    expect(seen.restarts).toEqual([]);
    expect(calls).toEqual([1, 0]);
  });
});

describe('a whole answer', () => {
  const way = 'whole on /v1';

  it.each([...CASES, ['is not JSON', 'fault=malformed'] as const])(
    'that %s comes from another',
    async (_, controls) => {
      for (const dialect of ['OPENAI', 'ANTHROPIC', 'GEMINI'] as const) {
        const { scene, seen, calls } = await play(stage, way, [{ controls, dialect }, {}]);
        const [, next] = scene.actors;
        if (next) await expectWhole(stage, way, seen, next);
        expect(calls).toEqual([1, 1]);
      }
    },
  );

  it('that is cut comes from the same provider the next time', async () => {
    const { scene, seen, calls } = await play(stage, way, [{ controls: 'fault=cut;times=1' }]);
    await expectWhole(stage, way, seen, scene.actors[0]);
    expect(calls).toEqual([2]);
  });

  it('that is no answer is not asked for again', async () => {
    for (const fault of ['malformed', 'end']) {
      const { seen, calls } = await play(stage, way, [{ controls: `fault=${fault}` }]);
      expectError(seen, 'UPSTREAM', 502);
      expect(calls).toEqual([1]);
    }
  });
});

describe.each(WAYS)('an answer %s', (way) => {
  const harmless = way === 'whole on /v1' ? (['no-done'] as const) : (['no-done', 'malformed'] as const);

  it.each(harmless)('with the small fault %s is whole, from the first provider', async (fault) => {
    for (const dialect of ['OPENAI', 'ANTHROPIC', 'GEMINI'] as const) {
      const { scene, seen, calls, outcomes } = await play(stage, way, [{ controls: `fault=${fault}`, dialect }, {}]);
      await expectWhole(stage, way, seen, scene.actors[0]);
      expect(calls).toEqual([1, 0]);
      expect(outcomes).toEqual(['SUCCEEDED']);
    }
  });
});
