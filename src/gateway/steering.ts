import { OverloadedError, RateLimitedError, type SignalboxError } from '../platform/errors.ts';
import type { Attempt } from './attempt.ts';
import { type AnswerKind, TargetHealth } from './routing/health.ts';
import { keysOf } from './routing/keys.ts';
import { Plan, type Step } from './routing/plan.ts';
import { Router } from './routing/router.ts';
import { choiceOf, type Run } from './run.ts';
import type { Failure } from './upstream/failure.ts';
import { answerTimeOf, verdictOf } from './verdict.ts';

/** Of a target that was named exactly: its keys are tried, and nothing a second time. */
const ATTEMPTS_OF_TESTS = 4;

/** They closed meanwhile, and nobody knows when the next may be called. */
const GUESS_MS = 1_000;

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
    const { destination, ownKeys, stickyKey } = run.admitted;
    const world = {
      chooseKey: (provider: Step['target']['provider'], tried: ReadonlySet<string>) =>
        this.health.keys.choose(provider.id, keysOf(provider, ownKeys), tried),
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
    const asking = { ownKeys, kind: kindOf(run), stickyKey, at: run.origin.startedAt };
    const { decision, facts, order, others } = this.router.decide(destination, asking);
    run.origin.decision = decision;
    run.facts = facts;
    const { attempts } = destination.facts;
    const asksOthersOnRefusal = destination.route?.refusalPolicy === 'OTHER_TARGET';
    return new Plan(order, others, { ...limits, attempts, triesAgain: true, asksOthersOnRefusal }, world);
  }

  /** Whether the circuits of a step's target let it through. A target that was named exactly is called in any case. */
  enter(run: Run, { target }: Step): boolean {
    if (choiceOf(run.admitted) === null) return true;
    const { isOpen, claims } = this.health.enter(target, kindOf(run), Date.now());
    run.probe = claims.length > 0 ? { target, claims, isSent: false } : null;
    return !isOpen;
  }

  /** The first token has come: a target that was left alone is back. */
  hasAnswered(run: Run, { target }: Attempt): void {
    if (!run.probe) return;
    this.health.note(target, kindOf(run), 'ANSWERED', run.probe.claims, Date.now());
    run.probe = null;
  }

  /** What the end of a call says of its target and its key. */
  learn(run: Run, attempt: Attempt, failure: Failure | null): void {
    attempt.upstreamStatus = failure ? failure.upstreamStatus : attempt.upstreamStatus;
    this.#learnOfTarget(run, attempt, failure);
    const { target, key, intent } = attempt;
    // A provider without keys is limited as a whole.
    const limited = key?.id ?? target.provider.id;
    if (!failure) this.health.keys.answered(limited, intent.startedAt);
    else if (failure.key && (key || failure.key === 'LIMITED'))
      this.health.keys.rest(limited, failure.key, failure.retryAfterMs, Date.now(), intent.usedOwnKey);
  }

  #learnOfTarget(run: Run, attempt: Attempt, failure: Failure | null): void {
    if (!attempt.isSent) {
      this.release(run);
      return;
    }
    const { target } = attempt;
    const kind = kindOf(run);
    const now = Date.now();
    const verdict = verdictOf(run, attempt, failure);
    const time = failure ? null : answerTimeOf(run, attempt);
    if (time !== null) this.health.measure(target, kind, time, now);
    if (verdict === 'ANSWERED' && choiceOf(run.admitted) === null) this.health.answers(target, kind);
    // One request that a target cannot answer is one failure, however often it is tried.
    const isCounted = verdict === 'FAILED' && run.failed.has(target);
    this.health.note(target, kind, isCounted ? 'NEUTRAL' : verdict, run.probe?.claims ?? [], now);
    run.probe = null;
    if (verdict !== 'FAILED') return;
    run.failed.add(target);
    if (failure?.retryAfterMs) this.health.leaveAlone(target, kind, failure.retryAfterMs, now);
  }

  /** A request that was let through an open circuit is over, and nothing was learnt from it. */
  release(run: Run): void {
    if (run.probe?.isSent) this.health.note(run.probe.target, kindOf(run), 'NEUTRAL', run.probe.claims, Date.now());
    else if (run.probe) this.health.release(run.probe.claims, Date.now());
    run.probe = null;
  }

  /** Nothing was called, and nothing can be for a while: providers asked for it, or failed again and again. */
  refusal(run: Run, plan: Plan): SignalboxError {
    const now = Date.now();
    const whose = run.origin.routeSlug ? `the route "${run.origin.routeSlug}"` : 'this model';
    if (Number.isFinite(plan.readyAt)) {
      const seconds = secondsUntil(plan.readyAt, now);
      return new RateLimitedError(`The providers of ${whose} asked to be left alone for ${seconds} s.`, seconds);
    }
    const untils = plan.targets
      .map((target) => this.health.openUntil(target, kindOf(run)))
      .filter((until) => until > now);
    const seconds = secondsUntil(untils.length > 0 ? Math.min(...untils) : now + GUESS_MS, now);
    const message = `The targets of ${whose} failed again and again, and are left alone for ${seconds} s.`;
    return new OverloadedError(message, seconds);
  }
}

function kindOf({ admitted, request }: Run): AnswerKind {
  if (request.operation === 'EMBEDDINGS') return 'EMBEDDINGS';
  return admitted.isStreamed ? 'STREAM' : 'WHOLE';
}

function secondsUntil(time: number, now: number): number {
  return Math.max(1, Math.ceil((time - now) / 1_000));
}
