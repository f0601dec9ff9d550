import { OverloadedError, RateLimitedError, type SignalboxError } from '../platform/errors.ts';
import type { Attempt } from './attempt.ts';
import { TargetHealth } from './routing/health.ts';
import { keysOf } from './routing/keys.ts';
import { Plan, type Step } from './routing/plan.ts';
import { Router } from './routing/router.ts';
import { choiceOf, type Run } from './run.ts';
import type { Failure } from './upstream/failure.ts';
import { timingOf, verdictOf } from './verdict.ts';

/** Of a target that was named exactly: its keys are tried, and nothing a second time. */
const ATTEMPTS_OF_TESTS = 4;

/** Where completions go: plans their attempts, and learns from how these end. */
export class Steering {
  readonly health: TargetHealth;
  readonly router: Router;

  /** @param circuitProbeMs as `TargetHealth` has it */
  constructor(circuitProbeMs: number) {
    this.health = new TargetHealth(circuitProbeMs);
    this.router = new Router(this.health);
  }

  /** Picks where to go, and plans what follows if that fails. */
  plan(run: Run): Plan {
    const { destination, ownKeys, isStreamed, stickyKey } = run.admitted;
    const world = {
      chooseKey: (provider: Step['target']['provider'], tried: ReadonlySet<string>) =>
        this.health.keys.choose(keysOf(provider, ownKeys), tried),
      now: Date.now,
      random: Math.random,
    };
    const limits = {
      attempts: ATTEMPTS_OF_TESTS,
      deadline: run.deadline,
      triesAgain: false,
      asksOthersOnRefusal: false,
    };
    if (!('facts' in destination)) return new Plan([destination], () => [], limits, world);
    const asking = { ownKeys, isStreamed, stickyKey, at: run.origin.startedAt };
    const { decision, facts, order, others } = this.router.decide(destination, asking);
    run.origin.decision = decision;
    run.facts = facts;
    const { attempts } = destination.facts;
    const asksOthersOnRefusal = destination.route?.refusalPolicy === 'OTHER_TARGET';
    return new Plan(order, others, { ...limits, attempts, triesAgain: true, asksOthersOnRefusal }, world);
  }

  /** Whether the circuit of a step's target lets it through. A target that was named exactly is called in any case. */
  enter(run: Run, step: Step): 'CLOSED' | 'PROBE' | 'OPEN' {
    const now = Date.now();
    const entry = this.health.enter(step.target, now);
    if (entry === 'OPEN' && choiceOf(run.admitted) === null) return 'PROBE';
    if (entry === 'PROBE') run.probed = step.target;
    return entry;
  }

  /** What the end of a call says of its target and its key. */
  learn(run: Run, attempt: Attempt, isProbe: boolean, failure: Failure | null): void {
    const { target, key, intent } = attempt;
    const now = Date.now();
    attempt.upstreamStatus = failure ? failure.upstreamStatus : attempt.upstreamStatus;
    this.health.note(target, verdictOf(run, attempt, failure), isProbe, failure ? null : timingOf(run, attempt), now);
    run.probed = null;
    if (!key) return;
    if (!failure) this.health.keys.answered(key.id, intent.startedAt);
    else if (failure.key) this.health.keys.rest(key.id, failure.key, failure.retryAfterMs);
  }

  /** A request that was let through an open circuit, and did not get as far as its target. */
  release(run: Run): void {
    if (run.probed) this.health.release(run.probed, Date.now());
    run.probed = null;
  }

  /** Nothing was called, and nothing can be for a while. */
  refusal(run: Run, plan: Plan): SignalboxError {
    const seconds = Math.max(1, Math.ceil((plan.readyAt - Date.now()) / 1_000));
    const name = run.origin.routeSlug ? `the route "${run.origin.routeSlug}"` : 'this model';
    return Number.isFinite(seconds)
      ? new RateLimitedError(`The providers of ${name} asked to be left alone for ${seconds} s.`, seconds)
      : new OverloadedError(`The providers of ${name} failed again and again, and are left alone for now.`, 1);
  }
}
