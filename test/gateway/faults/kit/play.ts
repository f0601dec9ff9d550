import { expect } from 'vitest';
import { eventually } from '../../../kit/eventually.ts';
import { ask, type Question, type Seen, type Way } from './callers.ts';
import { expectAgreement, type LedgerRecord, ledgerOf } from './ledger.ts';
import type { RouteSettings } from './route-settings.ts';
import type { Actor, Part, Scene, Stage } from './stage.ts';

/** One completion through a scene, seen from all sides. */
export interface Played {
  scene: Scene;
  seen: Seen;
  ledger: LedgerRecord;
  /** How often each provider was called. */
  calls: number[];
  /** What each attempt on the ledger came to: `SUCCEEDED`, or the code of its error. */
  outcomes: string[];
}

/** Sets a scene, sends one completion through it, and checks that caller and ledger agree. */
export async function play(
  stage: Stage,
  way: Way,
  parts: readonly Part[],
  settings: RouteSettings = {},
  question: Question = {},
): Promise<Played> {
  const scene = await stage.set(parts, settings);
  return playAgain(stage, way, scene, question);
}

/**
 * Sends one more completion through a scene.
 * @param isNamed whether every call names its model: one that is refused for its key is not looked into
 */
export async function playAgain(
  stage: Stage,
  way: Way,
  scene: Scene,
  question: Question = {},
  isNamed = true,
): Promise<Played> {
  const before = scene.actors.map((actor) => actor.calls().length);
  const seen = await ask(stage.server, scene.route, way, question);
  const ledger = await ledgerOf(stage.server, seen.requestId);
  expectAgreement(seen, ledger);
  const calls = await eventually(() => {
    expect(scene.actors.map(({ sandbox }) => sandbox.stats().active)).toEqual(scene.actors.map(() => 0));
    return scene.actors.map((actor, index) => actor.calls().length - (before[index] ?? 0));
  });
  // What a provider saw is what the ledger has.
  const attempts = scene.actors.map(({ slug }) => ledger.attempts.filter(({ provider }) => provider === slug).length);
  if (isNamed) expect(calls).toEqual(attempts);
  const outcomes = ledger.attempts.map(({ status, errorCode }) => errorCode ?? status);
  return { scene, seen, ledger, calls, outcomes };
}

/** The caller has the whole answer, and it is word for word what this provider says when it is well. */
export async function expectWhole(stage: Stage, way: Way, seen: Seen, actor: Actor, question: Question = {}) {
  expect(seen).toMatchObject({ error: null, isWhole: true, finishReason: 'stop', provider: actor.slug });
  expect(seen.model).toBe(actor.model);
  const well = await ask(stage.server, actor.healthy, way, question);
  expect(well.isWhole).toBe(true);
  expect(seen.text).toBe(well.text);
  // Over GraphQL it counts what was used for nothing before.
  if (seen.attempts === 1 || seen.status !== null) expect(seen.usage).toEqual(well.usage);
}

/** The caller has a clean error and nothing that looks like an answer. */
export function expectError(seen: Seen, code: string, status: number): void {
  expect(seen).toMatchObject({ isWhole: false, finishReason: null, error: { code } });
  if (seen.status !== null && seen.text === '') expect(seen.status).toBe(status);
  expect(seen.error?.message).toMatch(/^[A-Za-z].{10,}/);
}

/** Milliseconds between the starts of a provider's calls. */
export function gapsOf(actor: Actor): number[] {
  const times = actor.calls().map(({ startedAt }) => startedAt.getTime());
  return times.slice(1).map((time, index) => time - (times[index] ?? 0));
}
