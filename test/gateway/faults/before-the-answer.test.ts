import { describe, expect, it } from 'vitest';
import type { DialectName } from '../../../src/gateway/upstream/dialect.ts';
import { WAYS } from './kit/callers.ts';
import { expectError, expectWhole, gapsOf, play } from './kit/play.ts';
import { useStage } from './kit/stage.ts';

const stage = useStage();

/** Who fails, and who stands in: each dialect in each place. */
const PAIRS: [DialectName, DialectName][] = [
  ['OPENAI', 'ANTHROPIC'],
  ['ANTHROPIC', 'GEMINI'],
  ['GEMINI', 'OPENAI'],
];

/** Faults that may be gone the next time: `code` and `status` are what the caller is told when they are not. */
interface Transient {
  controls: string;
  code: string;
  status: number;
  /** The one whose words say it; OPENAI where nothing is said. */
  dialect?: DialectName;
}
const TRANSIENT: Readonly<Record<string, Transient>> = {
  'a 500': { controls: 'fault=status', code: 'UPSTREAM', status: 502 },
  'a 503': { controls: 'status=503', code: 'UPSTREAM', status: 503 },
  'a 529': { controls: 'status=529', code: 'UPSTREAM', status: 503 },
  'a 408': { controls: 'status=408', code: 'UPSTREAM_TIMEOUT', status: 504 },
  'a 504': { controls: 'status=504', code: 'UPSTREAM_TIMEOUT', status: 504 },
  'a reset before the headers': { controls: 'fault=reset', code: 'UPSTREAM', status: 502 },
  'a 200 with an error in its body': { controls: 'fault=error-body', code: 'UPSTREAM', status: 502 },
  'a 200 with an error as its first event': { controls: 'fault=error-event', code: 'UPSTREAM', status: 502 },
  'an overload behind a 200': {
    controls: 'fault=error-event;status=529',
    code: 'UPSTREAM',
    status: 503,
    dialect: 'ANTHROPIC',
  },
};
const dialectOf = ({ dialect }: Pick<Transient, 'dialect'>) => (dialect ? { dialect } : {});
const CASES = Object.entries(TRANSIENT);

describe.concurrent.each(WAYS)('an answer %s', (way) => {
  it.each(CASES)('comes from the same provider after %s, once', async (_, { controls, code, ...part }) => {
    const parts = [{ controls: `${controls};times=1`, ...dialectOf(part) }];
    const { scene, seen, calls, outcomes } = await play(stage, way, parts);
    await expectWhole(stage, way, seen, scene.actors[0]);
    expect(calls).toEqual([2]);
    expect(outcomes).toEqual([code, 'SUCCEEDED']);
    // One wait, of up to 250 ms.
    expect(seen.ms).toBeLessThan(2_000);
  });

  it.each(CASES)('does not come after %s, always: four calls, further and further apart', async (_, fault) => {
    const { scene, seen, calls, outcomes } = await play(stage, way, [
      { controls: fault.controls, ...dialectOf(fault) },
    ]);
    expectError(seen, fault.code, fault.status);
    expect(calls).toEqual([4]);
    expect(outcomes).toEqual([fault.code, fault.code, fault.code, fault.code]);
    for (const [index, gap] of gapsOf(scene.actors[0]).entries()) expect(gap).toBeLessThan(250 * 2 ** index + 500);
    expect(seen.ms).toBeLessThan(250 + 500 + 1000 + 2_000);
  });

  it.each(CASES)('comes from the next provider at once after %s', async (_, { controls, code, ...part }) => {
    const parts = [{ controls, ...dialectOf(part) }, { dialect: 'GEMINI' as const }];
    const { scene, seen, calls, outcomes } = await play(stage, way, parts);
    const [, next] = scene.actors;
    if (next) await expectWhole(stage, way, seen, next);
    expect(seen.attempts).toBe(2);
    expect(calls).toEqual([1, 1]);
    expect(outcomes).toEqual([code, 'SUCCEEDED']);
    expect(seen.ms).toBeLessThan(1_500);
  });
});

describe.concurrent.each(PAIRS)('%s fails, %s answers', (failing, standIn) => {
  it.each(CASES)('after %s', async (_, { controls, code }) => {
    const way = 'streamed on /v1';
    const { scene, seen, calls, outcomes } = await play(stage, way, [
      { controls, dialect: failing },
      { dialect: standIn },
    ]);
    const [, next] = scene.actors;
    if (next) await expectWhole(stage, way, seen, next);
    expect(calls).toEqual([1, 1]);
    expect(outcomes).toEqual([code, 'SUCCEEDED']);
  });
});

describe.concurrent('the number of calls', () => {
  const way = 'streamed on /v1';

  it('is one with no retries, and as many as the route says', async () => {
    const none = await play(stage, way, [{ controls: 'status=503' }, {}], { maxRetries: 0 });
    expectError(none.seen, 'UPSTREAM', 503);
    expect(none.calls).toEqual([1, 0]);
    const five = await play(stage, way, [{ controls: 'status=503' }, { controls: 'fault=reset' }], { maxRetries: 4 });
    expect(five.seen).toMatchObject({ isWhole: false, error: { code: 'UPSTREAM' } });
    // Whose wait is over first is called first.
    expect(five.calls.reduce((sum, count) => sum + count)).toBe(5);
    expect(Math.min(...five.calls)).toBeGreaterThanOrEqual(1);
  });

  it('goes once to each of the targets before any is tried again', async () => {
    const failing = [{ controls: 'status=503' }, { controls: 'status=500' }, { controls: 'fault=reset' }];
    const all = await play(stage, way, failing);
    expect(all.ledger.attempts.slice(0, 3).map(({ provider }) => provider)).toEqual(
      all.scene.actors.map(({ slug }) => slug),
    );
    expect(all.ledger.attempts).toHaveLength(4);
    const parts = [{ controls: 'status=503;times=1' }, { controls: 'status=404' }, { controls: 'status=402' }];
    const { scene, seen, ledger } = await play(stage, way, parts);
    await expectWhole(stage, way, seen, scene.actors[0]);
    const [first, second, third] = scene.actors.map(({ slug }) => slug);
    expect(ledger.attempts.map(({ provider }) => provider)).toEqual([first, second, third, first]);
  });

  it('leaves a provider alone that a 404 or a 402 says is the wrong one', async () => {
    for (const status of [404, 402]) {
      const single = await play(stage, way, [{ controls: `status=${status}` }]);
      expectError(single.seen, 'UPSTREAM', 502);
      expect(single.calls).toEqual([1]);
      const { scene, seen, calls } = await play(stage, way, [{ controls: `status=${status}` }, {}]);
      const [, next] = scene.actors;
      if (next) await expectWhole(stage, way, seen, next);
      expect(calls).toEqual([1, 1]);
    }
  });
});

describe.concurrent.each(WAYS)('a request that is at fault itself, %s', (way) => {
  it.each([400, 413, 422])('is sent to no other provider after a %i', async (status) => {
    const { seen, calls } = await play(stage, way, [{ controls: `status=${status}` }, {}]);
    expectError(seen, 'VALIDATION', 400);
    expect(calls).toEqual([1, 0]);
  });

  it('is told by the first provider; what a later one refuses strikes only that one', async () => {
    const parts = [{ controls: 'status=503;times=1' }, { controls: 'status=400' }];
    const { scene, seen, calls, outcomes } = await play(stage, way, parts);
    await expectWhole(stage, way, seen, scene.actors[0]);
    expect(calls).toEqual([2, 1]);
    expect(outcomes).toEqual(['UPSTREAM', 'VALIDATION', 'SUCCEEDED']);
  });
});
