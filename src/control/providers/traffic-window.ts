import type { AttemptReport } from '../../gateway/completion.ts';
import { statusOfTraffic, type Verdict } from './health-status.ts';
import type { Observation } from './health-store.ts';

const MOST_CALLS = 20;
const LONGEST_AGO_MS = 5 * 60_000;

/** A call that says something of its provider. */
type Call = Pick<AttemptReport, 'finishedAt' | 'latencyMs' | 'upstreamStatus' | 'errorMessage'> & {
  verdict: Exclude<Verdict, 'REFUSED'>;
};

/** The last 20 calls of a provider in the last 5 minutes. */
export class TrafficWindow {
  #calls: Call[] = [];

  add(attempt: AttemptReport, verdict: Call['verdict']): void {
    const { finishedAt, latencyMs, upstreamStatus, errorMessage } = attempt;
    this.#calls.push({ finishedAt, latencyMs, upstreamStatus, errorMessage, verdict });
    if (this.#calls.length > MOST_CALLS) this.#calls.shift();
  }

  /** Whether a call has ended since then, in milliseconds since 1970. */
  hasSince(since: number): boolean {
    return this.#calls.some(({ finishedAt }) => finishedAt >= since);
  }

  /** What was tested is known better than what came before. */
  clear(): void {
    this.#calls = [];
  }

  /** Told by the newest call that shows it. Null: too little is known. */
  observe(now: number): Observation | null {
    this.#calls = this.#calls.filter(({ finishedAt }) => finishedAt > now - LONGEST_AGO_MS);
    const status = statusOfTraffic(this.#calls.map(({ verdict }) => verdict));
    if (status === null) return null;
    const shows = (call: Call) => (call.verdict === 'ANSWERED') === (status === 'ONLINE');
    const call = this.#calls.findLast(shows);
    return {
      status,
      at: new Date(now),
      latencyMs: call?.latencyMs ?? null,
      upstreamStatus: call?.upstreamStatus ?? null,
      detail: status === 'ONLINE' ? null : (call?.errorMessage ?? null),
    };
  }
}
