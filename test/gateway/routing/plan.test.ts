import { describe, expect, test } from 'vitest';
import type { Target } from '../../../src/gateway/routing/candidates.ts';
import { KeyRing } from '../../../src/gateway/routing/keys.ts';
import { Plan, type PlanLimits, type Step } from '../../../src/gateway/routing/plan.ts';
import type { Failure, Remedy } from '../../../src/gateway/upstream/failure.ts';
import { ContentFilterError, RateLimitedError, UpstreamError, ValidationError } from '../../../src/platform/errors.ts';

/** Targets at providers with these keys. */
function targets(...providers: [name: string, keys: string[], contextTokens?: number][]): Target[] {
  return providers.map(([name, ids, contextTokens = null]) => {
    const keys = ids.map((id) => ({ id, secret: id, weight: 1 }));
    const model = { name: 'm', price: null, contextTokens, maxOutputTokens: null, quality: null };
    return { id: null, provider: { id: name, slug: name, keys }, model } as unknown as Target;
  });
}

const broken = new UpstreamError('broken', { provider: 'p', upstreamStatus: null, attempts: 1 });

function failure(remedy: Remedy, over: Partial<Failure> = {}): Failure {
  return { error: broken, remedy, key: null, retryAfterMs: null, upstreamStatus: null, ...over };
}

const limited = (retryAfterMs: number | null) =>
  failure('OTHER_KEY', { key: 'LIMITED', retryAfterMs, error: new RateLimitedError('too many', 1) });

/** A plan over these targets, at a time that only its waits move, with the longest backoffs there are. */
class Walk {
  readonly ring = new KeyRing();
  readonly seen: string[] = [];
  readonly waits: number[] = [];
  readonly plan: Plan;
  now = 1_000_000;
  step: Step | null;

  constructor(list: readonly Target[], limits: Partial<PlanLimits> = {}, others: readonly Target[] = []) {
    const all = { attempts: 4, deadline: null, triesAgain: true, asksOthersOnRefusal: false, ...limits };
    this.plan = new Plan(list, () => others, all, {
      chooseKey: ({ id, keys }, tried) => this.ring.choose(id, keys, tried, this.now),
      now: () => this.now,
      random: () => 1,
    });
    this.step = this.#take(this.plan.first());
  }

  /** The steps fail like this, one after the other. */
  fail(...failures: Failure[]): this {
    for (const one of failures) {
      if (!this.step) throw new Error('the plan has ended');
      const { key, target } = this.step;
      if (one.key) this.ring.rest(key?.id ?? target.provider.id, one.key, one.retryAfterMs, this.now);
      this.step = this.#take(this.plan.after(this.step, one));
    }
    return this;
  }

  #take(step: Step | null): Step | null {
    if (!step) return null;
    expect(step.number).toBe(this.seen.length + 1);
    this.seen.push(`${step.target.provider.slug}:${step.key?.id ?? '-'}`);
    this.waits.push(step.waitMs);
    this.now += step.waitMs;
    return step;
  }
}

describe('what follows a failed call', () => {
  test('another key where the key was at fault, then the next target', () => {
    const list = targets(['p', ['k1', 'k2']], ['q', ['k3']]);
    const rejected = failure('OTHER_KEY', { key: 'REJECTED' });
    expect(new Walk(list).fail(rejected, rejected, failure('NONE')).seen).toEqual(['p:k1', 'p:k2', 'q:k3']);
    expect(new Walk(list).fail(limited(null), limited(null)).seen).toEqual(['p:k1', 'p:k2', 'q:k3']);
    expect(new Walk(list).fail(failure('OTHER_TARGET'), failure('NONE')).seen).toEqual(['p:k1', 'q:k3']);
  });

  test('every other target at once, and only then the same ones again, after longer and longer waits', () => {
    const list = targets(['p', []], ['q', []]);
    const again = failure('SAME_TARGET');
    const walk = new Walk(list, { attempts: 6 }).fail(again, again, again, again, again, again);
    expect(walk.seen).toEqual(['p:-', 'q:-', 'p:-', 'q:-', 'p:-', 'q:-']);
    expect(walk.waits.slice(0, 2)).toEqual([0, 0]);
    expect(walk.waits.slice(2)).toEqual([250, 0, 500, 0]);
    expect(walk.step).toBeNull();
  });

  test('never a target that was silent, or lacks the model, a second time', () => {
    const walk = new Walk(targets(['p', []], ['q', []])).fail(failure('OTHER_TARGET'), failure('SAME_TARGET'));
    expect(walk.seen).toEqual(['p:-', 'q:-', 'q:-']);
    expect(new Walk(targets(['p', []])).fail(failure('OTHER_TARGET')).step).toBeNull();
  });

  test('nothing, when the request is at fault', () => {
    const refused = failure('NONE', { error: new ValidationError([]) });
    expect(new Walk(targets(['p', []], ['q', []])).fail(refused).step).toBeNull();
  });

  test('but what a stand-in alone refuses ends only the stand-in', () => {
    const refused = failure('NONE', { error: new ValidationError([]) });
    const walk = new Walk(targets(['p', []], ['q', []], ['r', []])).fail(failure('SAME_TARGET'));
    const standIn = walk.step as Step;
    expect(walk.plan.isOnlyThis(standIn, refused)).toBe(true);
    expect(walk.fail(refused, failure('SAME_TARGET')).seen).toEqual(['p:-', 'q:-', 'r:-', 'p:-']);
  });

  test('a refusal for the content goes on only where the route says so', () => {
    const refused = failure('NONE', { error: new ContentFilterError('no') });
    const list = targets(['p', []], ['q', []]);
    expect(new Walk(list).fail(refused).step).toBeNull();
    expect(new Walk(list, { asksOthersOnRefusal: true }).fail(refused).seen).toEqual(['p:-', 'q:-']);
  });

  test('a request that is too long goes to larger models alone, also to those that were not planned', () => {
    const tooLong = failure('LARGER_MODEL');
    const list = targets(['p', [], 1_000], ['q', [], 1_000], ['r', [], 2_000]);
    const walk = new Walk(list, {}, targets(['s', [], 500], ['t', [], 4_000], ['u', []]));
    expect(walk.fail(tooLong, tooLong).seen).toEqual(['p:-', 'r:-', 't:-']);
    expect(walk.fail(tooLong).step).toBeNull();
  });

  test('what else a request that is too long may go to is tried once, however often it is too long', () => {
    const tooLong = failure('LARGER_MODEL');
    const others = targets(['q', [], 16_000], ['r', [], 32_000]);
    const walk = new Walk(targets(['p', [], 8_000]), { attempts: 9 }, others).fail(tooLong, tooLong);
    expect(walk.fail(failure('OTHER_TARGET')).step).toBeNull();
    expect(walk.seen).toEqual(['p:-', 'q:-', 'r:-']);
  });

  test('nor does it go to what is planned already under another target', () => {
    const twins = targets(['p', []], ['p', []]);
    expect(new Walk(targets(['p', []]), {}, twins).fail(failure('LARGER_MODEL')).step).toBeNull();
  });

  test('there are at most as many calls as were planned', () => {
    const keys = targets(['p', ['1', '2', '3', '4', '5', '6']], ['q', ['7']]);
    expect(new Walk(keys).fail(...Array.from({ length: 4 }, () => limited(null))).seen).toHaveLength(4);
    const one = new Walk(targets(['p', []]), { attempts: 1 }).fail(failure('SAME_TARGET'));
    expect([one.seen, one.step]).toEqual([['p:-'], null]);
  });

  test('a test of one target is not repeated, but may use another key', () => {
    const list = targets(['p', ['k1', 'k2']]);
    expect(new Walk(list, { triesAgain: false }).fail(failure('SAME_TARGET')).step).toBeNull();
    expect(new Walk(list, { triesAgain: false }).fail(limited(null)).seen).toEqual(['p:k1', 'p:k2']);
  });
});

describe('a target that asks to be left alone', () => {
  test('is, for as long as it asks, while others serve', () => {
    const walk = new Walk(targets(['p', ['k1']], ['q', ['k2']])).fail(limited(3_000), failure('SAME_TARGET'));
    expect(walk.seen).toEqual(['p:k1', 'q:k2', 'q:k2']);
    expect(walk.fail(failure('SAME_TARGET')).waits).toEqual([0, 0, 250, 500]);
    const alone = new Walk(targets(['p', ['k1']])).fail(limited(3_000));
    expect(alone.waits).toEqual([0, 3_750]);
  });

  test('is left alone as a whole where it has no keys', () => {
    const walk = new Walk(targets(['p', []], ['q', []])).fail(limited(3_000), failure('SAME_TARGET'));
    expect(walk.seen).toEqual(['p:-', 'q:-', 'q:-']);
    expect(new Walk(targets(['p', []])).fail(limited(3_000)).waits).toEqual([0, 3_750]);
  });

  test('is not waited for beyond half a minute or the end of the time', () => {
    expect(new Walk(targets(['p', ['k1']])).fail(limited(31_000)).step).toBeNull();
    const soon = { deadline: 1_002_000 };
    expect(new Walk(targets(['p', ['k1']]), soon).fail(limited(3_000)).step).toBeNull();
    expect(new Walk(targets(['p', ['k1']]), soon).fail(limited(1_000)).waits).toEqual([0, 1_250]);
  });

  test('is told from one that did not say how long: that one is tried where nothing else is left', () => {
    const walk = new Walk(targets(['p', ['k1']], ['q', ['k2']])).fail(limited(null), limited(null));
    expect(walk.seen).toEqual(['p:k1', 'q:k2', 'p:k1']);
    expect(walk.waits[2]).toBe(250);
  });

  test('is not called by others either', () => {
    const list = targets(['p', ['k1']]);
    const first = new Walk(list).fail(limited(40_000));
    expect(first.step).toBeNull();
    const { ring, now } = first;
    const plan = new Plan(
      list,
      () => [],
      { attempts: 4, deadline: null, triesAgain: true, asksOthersOnRefusal: false },
      {
        chooseKey: ({ id, keys }, tried) => ring.choose(id, keys, tried, now),
        now: () => now,
        random: () => 1,
      },
    );
    expect(plan.first()).toBeNull();
    expect(plan.readyAt).toBe(now + 42_000);
  });
});

test('a key that others had limited while a call waited is not used before its time', () => {
  const walk = new Walk(targets(['p', ['k1']])).fail(failure('SAME_TARGET'));
  walk.ring.rest('k1', 'LIMITED', 4_000, walk.now);
  const step = walk.plan.resume(walk.step as Step);
  expect([step?.number, step?.waitMs]).toEqual([2, 5_000]);
  walk.ring.rest('k1', 'LIMITED', 60_000, walk.now);
  expect(walk.plan.resume(step as Step)).toBeNull();
});

test('what cannot be called is replaced without counting', () => {
  const walk = new Walk(targets(['p', []], ['q', []]));
  const step = walk.plan.instead(walk.step as Step);
  expect([step?.target.provider.slug, step?.number]).toEqual(['q', 1]);
  expect(walk.plan.instead(step as Step)).toBeNull();
  expect(walk.plan.readyAt).toBe(Number.POSITIVE_INFINITY);
});
