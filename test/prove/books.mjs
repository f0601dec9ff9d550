// What clients and providers saw, beside what is on the ledger.
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/**
 * Compares them.
 * @param sightings of clients
 * @param calls of upstreams
 * @returns what is on the ledger, and each violation in a sentence
 */
export async function compare(connection, sightings, calls) {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    const completions = await rowsOf(client, COMPLETIONS);
    const attempts = await rowsOf(client, ATTEMPTS);
    const leases = await leasesLeft(client);
    const violations = [
      ...ofClients(sightings, completions, calls),
      ...ofProviders(calls, attempts),
      ...completions.flatMap(({ tag, count }) => (count === 1 ? [] : [`${tag} is on the ledger ${count} times`])),
      ...attempts.flatMap(({ id, tag }) => (tag === null ? [`attempt ${id} has no completion`] : [])),
      ...leases.map(({ server, amount }) => `server ${server} still has ${amount} picodollars set aside`),
    ];
    const indeterminate = completions.filter(({ status }) => status === 'INDETERMINATE').length;
    return { completions: completions.length, attempts: attempts.length, indeterminate, violations };
  } finally {
    await client.end();
  }
}

/** Once its journal is drained, a server that starts again frees what it had leased before; that takes a moment. */
async function leasesLeft(client) {
  for (const end = performance.now() + 10_000; ; await delay(50)) {
    const leases = await rowsOf(client, LEASES);
    if (leases.length === 0 || performance.now() > end) return leases;
  }
}

async function rowsOf(client, sql) {
  return (await client.query(sql)).rows;
}

/** An answer that a client saw complete is there once, with the usage that its provider counted. */
function ofClients(sightings, completions, calls) {
  const rows = new Map(completions.map((row) => [row.tag, row]));
  const served = new Map(calls.filter(({ outcome }) => outcome === 'COMPLETE').map((call) => [call.tag, call]));
  const sent = new Set(sightings.map(({ tag }) => tag));
  const violations = completions.flatMap(({ tag }) =>
    sent.has(tag) ? [] : [`${tag} is on the ledger, but nobody sent it`],
  );
  for (const { tag, outcome, requestId, usage, cost } of sightings) {
    if (outcome !== 'COMPLETE') continue;
    const row = rows.get(tag);
    if (!row) violations.push(`${tag} was answered, but is not on the ledger`);
    else if (row.id !== requestId || row.status !== 'SUCCEEDED')
      violations.push(`${tag} was answered as ${requestId}, but the ledger has ${row.id} as ${row.status}`);
    const call = served.get(tag);
    const counts = [usage, row, call].map((side) => side && `${side.inputTokens}+${side.outputTokens}`);
    if (new Set(counts).size !== 1)
      violations.push(
        `${tag} has tokens ${counts[0]} for its client, ${counts[1]} on the ledger, ${counts[2]} upstream`,
      );
    if (row && toPicodollars(cost) !== BigInt(row.cost ?? -1))
      violations.push(`${tag} cost its client ${cost}, but ${row.cost} picodollars on the ledger`);
  }
  return violations;
}

/** Every call that a provider got is there once; what is there beside them was lost before it was sent. */
function ofProviders(calls, attempts) {
  const nameOf = ({ tag, provider }) => `${tag} at ${provider}`;
  const got = countBy(calls, nameOf);
  const posted = countBy(attempts, nameOf);
  const violations = [];
  for (const [name, count] of got) {
    const there = posted.get(name) ?? 0;
    if (there < count) violations.push(`${name} was dispatched ${count} times, but is on the ledger ${there} times`);
  }
  const usage = new Map(
    calls
      .filter(({ outcome }) => outcome === 'COMPLETE')
      .map((call) => [nameOf(call), `${call.inputTokens}+${call.outputTokens}`]),
  );
  for (const attempt of attempts) {
    const name = nameOf(attempt);
    // Of one that was cut off on its way nobody knows how far it got.
    const isUncertain = ['INDETERMINATE', 'CANCELLED'].includes(attempt.status) || attempt.cost === '0';
    if (!got.has(name) && !isUncertain)
      violations.push(`${name} is on the ledger as ${attempt.status}, but was never dispatched`);
    if (posted.get(name) > Math.max(got.get(name) ?? 0, 1))
      violations.push(`${name} is on the ledger more often than it was dispatched`);
    if (attempt.status === 'SUCCEEDED' && usage.get(name) !== `${attempt.inputTokens}+${attempt.outputTokens}`)
      violations.push(`${name} has ${attempt.inputTokens}+${attempt.outputTokens} tokens, upstream ${usage.get(name)}`);
  }
  return violations;
}

function countBy(list, nameOf) {
  const counts = new Map();
  for (const one of list) counts.set(nameOf(one), (counts.get(nameOf(one)) ?? 0) + 1);
  return counts;
}

/** Decimal dollars. */
function toPicodollars(usd) {
  const [whole, fraction = ''] = (usd ?? '0').split('.');
  return BigInt(whole + fraction.padEnd(12, '0'));
}

const COMPLETIONS = `
  SELECT tags->>'test' AS tag, count(*)::int AS count, min(id::text) AS id, min(status::text) AS status,
    sum(input_tokens)::int AS "inputTokens", sum(output_tokens)::int AS "outputTokens", sum(cost)::text AS cost
  FROM completions GROUP BY 1`;

const ATTEMPTS = `
  SELECT a.id, c.tags->>'test' AS tag, a.provider_slug AS provider, a.status::text, a.input_tokens AS "inputTokens",
    a.output_tokens AS "outputTokens", a.cost::text
  FROM attempts a LEFT JOIN completions c ON c.id = a.completion_id`;

const LEASES = `
  SELECT h.server_id AS server, sum(l.amount)::text AS amount FROM leases l JOIN lease_holders h ON h.id = l.holder_id
  GROUP BY 1 HAVING sum(l.amount) > 0`;
