import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Target } from '../../../src/gateway/routing/candidates.ts';
import { Circuits } from '../../../src/gateway/routing/circuit.ts';
import { type AnswerKind, TargetHealth } from '../../../src/gateway/routing/health.ts';

const INTERVAL = 10_000;

function open(circuits: Circuits, now = 0): void {
  for (let call = 0; call < 5; call++) circuits.failed('t', false, now);
}

describe('a circuit', () => {
  test('opens with the fifth failure in a row, or ten of the last twenty', () => {
    const row = new Circuits(INTERVAL, () => undefined);
    for (let call = 0; call < 4; call++) row.failed('t', false, 0);
    expect(row.enter('t', 0)).toBe('CLOSED');
    row.failed('t', false, 0);
    expect(row.enter('t', 0)).toBe('OPEN');
    const half = new Circuits(INTERVAL, () => undefined);
    for (let call = 0; call < 9; call++) {
      half.failed('t', false, 0);
      half.succeeded('t', false, 0);
    }
    expect(half.enter('t', 0)).toBe('CLOSED');
    half.failed('t', false, 0);
    expect(half.enter('t', 0)).toBe('OPEN');
  });

  test('forgets failures that are long ago', () => {
    const circuits = new Circuits(INTERVAL, () => undefined);
    for (let call = 0; call < 4; call++) circuits.failed('t', false, 0);
    circuits.failed('t', false, 61_000);
    expect(circuits.enter('t', 61_000)).toBe('CLOSED');
  });

  test('lets one through after the interval; its end closes it, or opens it for another one', () => {
    const circuits = new Circuits(INTERVAL, () => undefined);
    open(circuits);
    expect(circuits.enter('t', INTERVAL - 1)).toBe('OPEN');
    expect(circuits.enter('t', INTERVAL)).toBe('PROBE');
    expect(circuits.enter('t', 2 * INTERVAL - 1)).toBe('OPEN');
    expect(circuits.stateOf('t')).toMatchObject({ state: 'HALF_OPEN', probeAt: 2 * INTERVAL });
    circuits.failed('t', true, INTERVAL + 5);
    expect(circuits.stateOf('t')).toMatchObject({ state: 'OPEN', probeAt: 2 * INTERVAL, since: 0 });
    expect(circuits.enter('t', 2 * INTERVAL)).toBe('PROBE');
    circuits.succeeded('t', true, 2 * INTERVAL);
    expect(circuits.enter('t', 2 * INTERVAL)).toBe('CLOSED');
    expect(circuits.stateOf('t')).toBeNull();
  });

  test('is not moved by calls that began before it opened', () => {
    const circuits = new Circuits(INTERVAL, () => undefined);
    open(circuits);
    circuits.succeeded('t', false, 1);
    circuits.failed('t', false, INTERVAL - 1);
    expect(circuits.enter('t', INTERVAL)).toBe('PROBE');
  });

  test('finds a target that is back, though the probe before still hangs', () => {
    const circuits = new Circuits(INTERVAL, () => undefined);
    open(circuits);
    expect(circuits.enter('t', INTERVAL)).toBe('PROBE');
    expect(circuits.enter('t', 2 * INTERVAL)).toBe('PROBE');
    circuits.succeeded('t', true, 2 * INTERVAL + 1);
    expect(circuits.enter('t', 2 * INTERVAL + 1)).toBe('CLOSED');
    circuits.failed('t', true, 3 * INTERVAL);
    expect(circuits.enter('t', 3 * INTERVAL)).toBe('CLOSED');
  });

  test('does not give the turn to the next one when a probe was sent and said nothing', () => {
    const circuits = new Circuits(INTERVAL, () => undefined);
    open(circuits);
    circuits.enter('t', INTERVAL);
    circuits.ended('t');
    expect(circuits.stateOf('t')?.state).toBe('OPEN');
    expect(circuits.enter('t', 2 * INTERVAL - 1)).toBe('OPEN');
  });

  test('gives the turn to the next one when a probe was not sent', () => {
    const circuits = new Circuits(INTERVAL, () => undefined);
    open(circuits);
    expect(circuits.enter('t', INTERVAL)).toBe('PROBE');
    circuits.released('t', INTERVAL);
    expect(circuits.enter('t', INTERVAL)).toBe('PROBE');
  });

  test('tells every change, and only changes', () => {
    let changes = 0;
    const circuits = new Circuits(INTERVAL, () => changes++);
    for (let call = 0; call < 4; call++) circuits.failed('t', false, 0);
    circuits.succeeded('other', false, 0);
    expect(changes).toBe(0);
    circuits.failed('t', false, 0);
    expect(changes).toBe(1);
    circuits.enter('t', INTERVAL);
    circuits.succeeded('t', true, INTERVAL);
    expect(changes).toBe(3);
  });

  test('of a provider can be opened by a probe, and closed by one', () => {
    const circuits = new Circuits(INTERVAL, () => undefined);
    circuits.trip('p', INTERVAL, 0);
    expect(circuits.enter('p', 1)).toBe('OPEN');
    circuits.close('p');
    expect(circuits.enter('p', 1)).toBe('CLOSED');
  });

  test('opens by itself nowhere where the interval is 0', () => {
    const circuits = new Circuits(0, () => undefined);
    open(circuits);
    expect(circuits.enter('t', 0)).toBe('CLOSED');
    circuits.trip('t', 0, 0);
    expect(circuits.enter('t', 0)).toBe('CLOSED');
    circuits.trip('t', 5, 0);
    expect(circuits.enter('t', 4)).toBe('OPEN');
  });

  test('lets through at most one call in an interval while its target is down, whenever they come and however long they take', () => {
    const arrivals = fc.array(fc.record({ after: fc.nat(3_000), takes: fc.nat(15_000) }), {
      minLength: 50,
      maxLength: 300,
    });
    fc.assert(
      fc.property(arrivals, (calls) => {
        const circuits = new Circuits(INTERVAL, () => undefined);
        open(circuits);
        const running: { isProbe: boolean; endsAt: number }[] = [];
        const sent: number[] = [];
        let now = 0;
        for (const { after, takes } of calls) {
          now += after;
          for (const call of running.filter(({ endsAt }) => endsAt <= now)) {
            running.splice(running.indexOf(call), 1);
            circuits.failed('t', call.isProbe, call.endsAt);
          }
          if (circuits.enter('t', now) === 'OPEN') continue;
          sent.push(now);
          running.push({ isProbe: true, endsAt: now + takes });
        }
        for (const [index, at] of sent.entries())
          if (index > 0) expect(at - (sent[index - 1] ?? 0)).toBeGreaterThanOrEqual(INTERVAL);
      }),
    );
  });
});

describe('the health of targets', () => {
  const target = (model: string) =>
    ({ id: null, provider: { id: 'p', slug: 'p', keys: [] }, model: { name: model } }) as unknown as Target;

  function fail(health: TargetHealth, one: Target, kind: AnswerKind, times = 5): void {
    for (let call = 0; call < times; call++) health.note(one, kind, 'FAILED', [], 0);
  }

  test('knows a model that cannot embed from one that cannot chat', () => {
    const health = new TargetHealth(INTERVAL);
    fail(health, target('m'), 'EMBEDDINGS');
    expect(health.enter(target('m'), 'EMBEDDINGS', 0).isOpen).toBe(true);
    expect(health.enter(target('m'), 'STREAM', 0).isOpen).toBe(false);
    fail(health, target('m'), 'STREAM', 3);
    fail(health, target('m'), 'WHOLE', 2);
    expect(health.enter(target('m'), 'STREAM', 0).isOpen).toBe(true);
  });

  test('gives back what it let through when another circuit stands in the way', () => {
    const health = new TargetHealth(INTERVAL);
    health.noteProbe('p', false, 0);
    fail(health, target('down'), 'STREAM');
    health.leaveAlone(target('later'), 'STREAM', 3 * INTERVAL, 0);
    expect(health.enter(target('later'), 'STREAM', INTERVAL)).toEqual({ isOpen: true, claims: [] });
    const { claims } = health.enter(target('down'), 'STREAM', INTERVAL);
    expect(claims).toHaveLength(2);
    health.note(target('down'), 'STREAM', 'ANSWERED', claims, INTERVAL);
    expect(health.enter(target('down'), 'STREAM', INTERVAL)).toEqual({ isOpen: false, claims: [] });
    expect(health.enter(target('other'), 'STREAM', INTERVAL).isOpen).toBe(false);
  });

  test('leaves a provider alone as a whole once a second of its models fails, until one of them answers', () => {
    const health = new TargetHealth(INTERVAL);
    fail(health, target('one'), 'STREAM');
    expect(health.enter(target('three'), 'STREAM', 0).isOpen).toBe(false);
    fail(health, target('two'), 'STREAM');
    expect(health.enter(target('three'), 'STREAM', 0).isOpen).toBe(true);
    const { claims } = health.enter(target('three'), 'STREAM', INTERVAL);
    expect(claims).toEqual(['p']);
    health.note(target('three'), 'STREAM', 'ANSWERED', claims, INTERVAL);
    expect(health.enter(target('four'), 'STREAM', INTERVAL).isOpen).toBe(false);
    expect(health.enter(target('one'), 'STREAM', INTERVAL - 1).isOpen).toBe(true);
  });

  test('forgets no circuit that is open for targets that failed a little', () => {
    const health = new TargetHealth(INTERVAL);
    fail(health, target('down'), 'STREAM');
    for (let index = 0; index < 10_001; index++) fail(health, target(`made-up-${index}`), 'STREAM', 1);
    expect(health.enter(target('down'), 'STREAM', 0).isOpen).toBe(true);
  });
});
