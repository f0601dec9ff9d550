// Watches a hard budget from outside: in Postgres all along, and by what its callers see.
import { setTimeout as delay } from 'node:timers/promises';

const PICO = 1_000_000_000_000;
/** Prices of the providers: $1 and $2 for 1M tokens. */
const PER_INPUT_BYTE = 1_000_000n;
const PER_OUTPUT_TOKEN = 2_000_000n;
/** In bytes; no request here is longer. */
const LONGEST_BODY = 300n;
/** How long the ledger takes to have what has ended. */
const LEDGER_MS = 1_000;
/** Who is refused while this share of the limit or less is in use was refused without reason. */
const ROOM_PERCENT = 99n;

export class Observer {
  violations = [];
  refusals = 0;
  /** Nothing is billed beyond its hold, so that what is settled and leased never is above the limit. */
  isStrict = true;
  #client;
  #limit;
  #limitBefore;
  #isStopped = false;
  #looks = 0;
  #judged = 0;
  #highest = 0n;
  #last = { settled: 0n, leased: 0n };
  #requests = [];

  constructor(client, limitUsd) {
    this.#client = client;
    this.#limit = this.#limitBefore = toPicodollars(limitUsd);
  }

  /** Looks as often as it can. */
  async run() {
    while (!this.#isStopped) {
      const { rows } = await this.#client.query(LOOK);
      for (const { settled, leased, limit } of rows) {
        this.#looks += 1;
        this.#last = { settled: BigInt(settled), leased: BigInt(leased) };
        const used = this.#last.settled + this.#last.leased;
        const share = (used * 100_000n) / BigInt(limit);
        if (share > this.#highest && this.isStrict) this.#highest = share;
        if (this.isStrict && used > BigInt(limit))
          this.violations.push(`settled ${settled} + leased ${leased} was above the limit ${limit}`);
      }
      await delay(1);
    }
  }

  async stop(watching) {
    this.#isStopped = true;
    await watching;
  }

  /** Little is left of the limit. */
  get isReached() {
    return this.#last.settled * 100n > this.#limit * 92n;
  }

  raise(limitUsd) {
    this.#limitBefore = this.#limit;
    this.#limit = toPicodollars(limitUsd);
  }

  /** A request begins: { startedAt, hold, limit }, the hold being the most that it can cost. */
  begin({ maxTokens }) {
    return { startedAt: performance.now(), hold: LONGEST_BODY * PER_INPUT_BYTE + BigInt(maxTokens) * PER_OUTPUT_TOKEN };
  }

  /** It has ended. */
  end(request, { outcome, status, error }, isJudged) {
    const isRefused = outcome === 'FAILED' && status === 402;
    const settled = this.#last.settled;
    this.#requests.push({
      ...{ ...request, endedAt: performance.now(), isRefused, settled, limit: this.#limitBefore },
      ...(isRefused ? { isJudged: isJudged && this.isStrict, error } : {}),
    });
  }

  /**
   * Judges who was refused, by the most that can have been in use at any time while it was decided: what was settled by its
   * end, and the holds of all that were served at the same time, or a moment before, as the ledger needs that to take them.
   */
  judge() {
    const changes = this.#requests
      .filter(({ isRefused }) => !isRefused)
      .flatMap(({ startedAt, endedAt, hold }) => [
        { at: startedAt, hold },
        { at: endedAt + LEDGER_MS, hold: -hold },
      ])
      .sort((a, b) => a.at - b.at);
    let sum = 0n;
    for (const change of changes) {
      sum += change.hold;
      change.sum = sum;
    }
    for (const refused of this.#requests.filter(({ isRefused }) => isRefused)) {
      this.refusals += 1;
      if (!refused.isJudged) continue;
      this.#judged += 1;
      const inUse = refused.settled + refused.hold + highest(changes, refused.startedAt, refused.endedAt);
      if (inUse * 100n <= refused.limit * ROOM_PERCENT)
        this.violations.push(`refused while at most ${inUse} of ${refused.limit} was in use: ${refused.error}`);
    }
  }

  get summary() {
    return (
      `${this.refusals} refusals, of which ${this.#judged} were judged; looked ${this.#looks} times, at most ` +
      `${Number(this.#highest) / 1_000}% of the limit was settled and leased`
    );
  }

  /** Attempts that cost more than was held: only where the provider was told to bill more, and each is flagged. */
  async overruns(seen) {
    const overbilled = new Set(seen.flatMap(({ tag, overbills }) => (overbills > 0 ? [tag] : [])));
    const { rows } = await this.#client.query(OVERRUNS);
    const { rows: unheld } = await this.#client.query('SELECT count(*)::int AS count FROM attempts WHERE held IS NULL');
    if (unheld[0].count > 0) this.violations.push(`${unheld[0].count} attempts were sent without a hold`);
    const violations = rows.flatMap(({ tag, cost, held }) =>
      overbilled.has(tag) ? [] : [`${tag} cost ${cost}, of which only ${held} was held, without being told to`],
    );
    return Object.assign(rows, { violations, overbilled: overbilled.size });
  }
}

/** The highest sum between two moments, and of the last change before them. */
function highest(changes, from, to) {
  let low = 0;
  for (let high = changes.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (changes[middle].at < from) low = middle + 1;
    else high = middle;
  }
  let most = changes[low - 1]?.sum ?? 0n;
  for (let index = low; index < changes.length && changes[index].at <= to; index += 1)
    if (changes[index].sum > most) most = changes[index].sum;
  return most;
}

function toPicodollars(usd) {
  return BigInt(Math.round(usd * PICO));
}

const LOOK = `SELECT settled::text, leased::text, "limit"::text FROM allowances WHERE kind = 'BUDGET'`;

const OVERRUNS = `
  SELECT c.tags->>'test' AS tag, a.cost::text, a.held::text
  FROM attempts a JOIN completions c ON c.id = a.completion_id WHERE a.cost > a.held`;
