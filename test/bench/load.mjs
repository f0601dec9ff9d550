// Load in a process of its own. Told by one JSON argument, answers with one JSON line.
//   { url, headers, body, seconds, connections }        as fast as the connections allow
//   { url, headers, body, seconds, ratePerSecond }      at a fixed rate; latency counts from when a request was due,
//                                                       so that a server that stalls cannot hide it
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';

const { url, headers, body, seconds, connections = 256, ratePerSecond = 0 } = JSON.parse(process.argv[2]);
const { origin, pathname } = new URL(url);
const pool = new Pool(origin, { connections });
const latencies = [];
let failed = 0;

/** One request; resolves when its last byte is here. */
function send() {
  return new Promise((resolve) => {
    let ok = false;
    let tail = '';
    pool.dispatch(
      { path: pathname, method: 'POST', headers, body },
      {
        onRequestStart() {},
        onResponseStart(_controller, status) {
          ok = status === 200;
        },
        onResponseData(_controller, chunk) {
          tail = chunk.subarray(-16).toString('latin1');
        },
        onResponseEnd() {
          // A stream that does not end with [DONE] is not an answer.
          if (!ok || (JSON.parse(body).stream && !tail.includes('[DONE]'))) failed += 1;
          resolve();
        },
        onResponseError() {
          failed += 1;
          resolve();
        },
      },
    );
  });
}

async function flatOut(until) {
  while (performance.now() < until) {
    const at = performance.now();
    await send();
    latencies.push(performance.now() - at);
  }
}

async function atRate(until) {
  const open = new Set();
  const startedAt = performance.now();
  for (let sent = 0; performance.now() < until; ) {
    const due = startedAt + (sent * 1000) / ratePerSecond;
    const early = due - performance.now();
    if (early > 0) {
      await sleep(Math.min(early, 1));
      continue;
    }
    sent += 1;
    const one = send().then(() => {
      latencies.push(performance.now() - due);
      open.delete(one);
    });
    open.add(one);
  }
  await Promise.all(open);
}

const startedAt = performance.now();
const until = startedAt + seconds * 1000;
if (ratePerSecond > 0) await atRate(until);
else await Promise.all(Array.from({ length: connections }, () => flatOut(until)));
const took = (performance.now() - startedAt) / 1000;
latencies.sort((a, b) => a - b);
const at = (share) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? null;
console.log(
  JSON.stringify({
    perSecond: latencies.length / took,
    p50: at(0.5),
    p99: at(0.99),
    failed,
    requests: latencies.length,
  }),
);
await pool.destroy();
