// Fills the disk, as far as the journal can tell: its file may not grow beyond a limit, until the limit is lifted.
import { execFileSync } from 'node:child_process';
import { statSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Journal } from '../../../dist/gateway/ledger/journal.js';
import { createSegment, segmentPath } from '../../../dist/gateway/ledger/segments.js';

const directory = process.argv[2];
const identity = { clusterId: 'cluster-1', serverId: 'server-1' };
const last = { segment: 1, ...createSegment(directory, 1, identity) };
const options = { directory, identity, fsync: false, onGrown() {}, onError() {} };
const journal = new Journal(options, last);
const limit = (bytes) => execFileSync('prlimit', ['--pid', `${process.pid}`, `--fsize=${bytes}:`]);

const confirmed = [];
const refused = [];
const codes = new Set();
async function append(group) {
  const payloads = Array.from({ length: 5 }, (_, index) => `${group}.${index} ${'z'.repeat(700)}`);
  const results = await Promise.allSettled(payloads.map((payload) => journal.append(payload, false)));
  for (const [index, { status, reason }] of results.entries()) {
    (status === 'fulfilled' ? confirmed : refused).push(payloads[index]);
    if (reason) codes.add(reason.code);
  }
}

limit(10_000);
for (let group = 0; group < 6; group += 1) await append(group);
await journal.append(`must be kept ${'z'.repeat(5000)}`, true).catch((error) => codes.add(error.code));
const sizes = { end: journal.end.offset, file: statSync(segmentPath(directory, 1)).size };
limit('unlimited');
await append('after');
await sleep(1200);
await journal.close();
writeSync(1, JSON.stringify({ confirmed, refused, codes: [...codes], sizes }));
