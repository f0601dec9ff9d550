import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Circuits } from '../../../src/gateway/routing/circuit.ts';

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
    circuits.trip('p', 0);
    expect(circuits.enter('p', 1)).toBe('OPEN');
    circuits.close('p');
    expect(circuits.enter('p', 1)).toBe('CLOSED');
  });

  test('never opens where the interval is 0', () => {
    const circuits = new Circuits(0, () => undefined);
    open(circuits);
    circuits.trip('t', 0);
    expect(circuits.enter('t', 0)).toBe('CLOSED');
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
