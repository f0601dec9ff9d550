import { closeSync, readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeEntry } from '../../../src/gateway/ledger/decode.ts';
import { encodeFact, encodeIntent, encodeSettlement, encodeUnattempted } from '../../../src/gateway/ledger/encode.ts';
import { frame } from '../../../src/gateway/ledger/frames.ts';
import { Journal } from '../../../src/gateway/ledger/journal.ts';
import { JournalReader } from '../../../src/gateway/ledger/journal-reader.ts';
import { OpenCompletions } from '../../../src/gateway/ledger/open-completions.ts';
import { openLastSegment } from '../../../src/gateway/ledger/open-journal.ts';
import type { Intent } from '../../../src/gateway/ledger/records.ts';
import { closeLostCompletions } from '../../../src/gateway/ledger/recovery.ts';
import { createSegment, headerOf, JournalError, segmentPath } from '../../../src/gateway/ledger/segments.ts';
import { cached, folder, HOLD, intent, outcome, recordedLog, settlement } from './kit.ts';

const IDENTITY = { clusterId: 'cluster-1', serverId: 'server-1' };
const START = { segment: 1, offset: 0 };
const HEADER = headerOf(IDENTITY).length;

/** What a server may do next; the numbers pick one of what there is. */
type Command =
  | { does: 'BEGIN'; hasHold: boolean }
  | { does: 'TRY_AGAIN'; which: number }
  | { does: 'SETTLE'; which: number; isLast: boolean }
  | { does: 'ANSWER_FROM_CACHE' }
  | { does: 'NAME_A_FACT' }
  /** Is killed, and starts again; or goes on in another segment. */
  | { does: 'CRASH' | 'TURN_OVER' };

const which = fc.nat();
const command = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant('BEGIN' as const), hasHold: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('TRY_AGAIN' as const), which }) },
  { weight: 5, arbitrary: fc.record({ does: fc.constant('SETTLE' as const), which, isLast: fc.boolean() }) },
  fc.record({ does: fc.constantFrom('ANSWER_FROM_CACHE' as const, 'NAME_A_FACT' as const) }),
  fc.record({ does: fc.constantFrom('CRASH' as const, 'TURN_OVER' as const) }),
);

function open(directory: string) {
  const { log, entries } = recordedLog();
  const last = openLastSegment(directory, IDENTITY, null, log);
  return { journal: journalOf(directory, last), entries };
}

function journalOf(directory: string, last: ReturnType<typeof openLastSegment>): Journal {
  return new Journal({ directory, identity: IDENTITY, fsync: false, onGrown() {}, onError() {} }, last);
}

function payloads(directory: string, journal: Journal): string[] {
  const reader = new JournalReader(directory, IDENTITY, START);
  try {
    return reader.read(journal.end, 10_000).map(({ payload }) => payload);
  } finally {
    reader.close();
  }
}

const recover = (journal: Journal, directory: string) => closeLostCompletions(journal, directory, IDENTITY, START);

/** Does all this in a journal of its own. */
async function play(directory: string, commands: readonly Command[]): Promise<void> {
  let { journal } = open(directory);
  const running: Intent[] = [];
  /** Settled again they change nothing. */
  const ended: Intent[] = [];
  const pick = (from: readonly Intent[], number: number) => from[number % from.length];
  const write = (payload: string) => journal.append(payload, false);
  for (const next of commands) {
    if (next.does === 'BEGIN') {
      const begun = intent({ hold: next.hasHold ? HOLD : null }, { tags: {} });
      running.push(begun);
      await write(encodeIntent(begun));
    } else if (next.does === 'TRY_AGAIN') {
      const before = pick(running, next.which);
      if (!before) continue;
      // As the gateway does: an attempt has ended before the next one is begun.
      await write(encodeSettlement({ intent: before, attempt: outcome({ status: 'FAILED' }), completion: null }));
      const again = { ...intent({ number: before.number + 1 }), origin: before.origin };
      running[running.indexOf(before)] = again;
      await write(encodeIntent(again));
    } else if (next.does === 'SETTLE') {
      const ending = pick([...running, ...ended], next.which);
      if (!ending) continue;
      const failed = { intent: ending, attempt: outcome({ status: 'FAILED' }), completion: null };
      await write(encodeSettlement(next.isLast ? settlement(ending) : failed));
      if (next.isLast && running.includes(ending)) ended.push(...running.splice(running.indexOf(ending), 1));
    } else if (next.does === 'ANSWER_FROM_CACHE') {
      const hit = cached({ tags: {} });
      await write(encodeUnattempted(hit.origin, hit.outcome));
    } else if (next.does === 'NAME_A_FACT') {
      await write(encodeFact({ id: 'f', content: { health: 'good' } }) ?? '');
    } else if (next.does === 'CRASH') {
      await journal.close();
      ({ journal } = open(directory));
      await recover(journal, directory);
      running.length = 0;
    } else {
      const { segment } = journal.end;
      await journal.close();
      journal = journalOf(directory, { segment: segment + 1, ...createSegment(directory, segment + 1, IDENTITY) });
    }
  }
  await journal.close();
}

/** What a drain of these records puts on the ledger: how each attempt and each completion ended, every time it did. */
function drain(records: readonly string[]) {
  const joined = new OpenCompletions();
  const attempts = new Map<string, string[]>();
  const completions = new Map<string, string[]>();
  const intended = new Map<string, string>();
  const note = (ends: Map<string, string[]>, id: string, status: string) =>
    ends.set(id, [...(ends.get(id) ?? []), status]);
  for (const [offset, payload] of records.entries()) {
    const entry = decodeEntry(payload);
    if (entry.kind === 'PRICE' || entry.kind === 'FACT') continue;
    if (entry.kind === 'INTENT') intended.set(entry.intent.attemptId, entry.intent.origin.completionId);
    const { attempt, completion } = joined.apply(entry, { segment: 1, offset });
    if (attempt) note(attempts, attempt.intent.attemptId, attempt.outcome.status);
    if (completion) note(completions, completion.origin.completionId, completion.outcome.status);
  }
  return { attempts, completions, intended, isOpen: joined.oldest() !== null };
}

/** Where each record of a segment ends, the header first. */
function boundaries(bytes: Buffer): number[] {
  const ends: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    at += 8 + bytes.readUInt32LE(at);
    ends.push(at);
  }
  return ends;
}

/**
 * Recovers a journal whose last segment was cut, and compares it with what was there: all whole records, each intent
 * settled once, as it was settled before or as INDETERMINATE, and nothing left to do for another recovery.
 * @param before the records of the segments before
 */
async function expectRecovered(directory: string, segment: number, bytes: Buffer, cut: number, before: string[]) {
  const path = segmentPath(directory, segment);
  writeFileSync(path, bytes.subarray(0, cut));
  const ends = boundaries(bytes).filter((end) => end <= cut);
  const whole = [...before];
  for (const [index, end] of ends.entries())
    if (index > 0) whole.push(bytes.subarray((ends[index - 1] as number) + 8, end).toString());

  const { journal, entries } = open(directory);
  expect(journal.end).toEqual({ segment, offset: ends.at(-1) ?? HEADER });
  expect(entries.map(({ level }) => level)).toEqual(cut > (ends.at(-1) ?? cut) ? ['warn'] : []);
  expect(payloads(directory, journal)).toEqual(whole);

  const kept = drain(whole);
  await recover(journal, directory);
  const after = payloads(directory, journal);
  expect(after.slice(0, whole.length)).toEqual(whole);
  const drained = drain(after);
  expect(drained.isOpen).toBe(false);
  for (const [attempt, completion] of drained.intended) {
    expect(drained.attempts.get(attempt)).toEqual(kept.attempts.get(attempt) ?? ['INDETERMINATE']);
    const ended = drained.completions.get(completion);
    expect(ended).toEqual(kept.completions.get(completion) ?? ['INDETERMINATE']);
  }
  expect(drained.intended).toEqual(kept.intended);
  const begun = new Set(kept.intended.values());
  expect(drained.completions.size).toBe(new Set([...begun, ...kept.completions.keys()]).size);
  await journal.close();

  const again = open(directory);
  expect([await recover(again.journal, directory), again.journal.end]).toEqual([0, journal.end]);
  const later = intent();
  await again.journal.append(encodeIntent(later), false);
  expect(payloads(directory, again.journal)).toEqual([...after, encodeIntent(later)]);
  await again.journal.close();
}

/** A journal after random commands: its last segment, and the records before that. */
async function journalAfter(commands: readonly Command[]) {
  const directory = folder();
  await play(directory, commands);
  const { journal } = open(directory);
  const { segment } = journal.end;
  const all = payloads(directory, journal);
  await journal.close();
  const bytes = readFileSync(segmentPath(directory, segment));
  const before = all.slice(0, all.length - (boundaries(bytes).length - 1));
  return { directory, segment, bytes, before };
}

describe('recovery of a journal', () => {
  it('keeps the whole records and ends each intent once, wherever the file was cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 2, maxLength: 4 }), async (commands) => {
        const { directory, segment, bytes, before } = await journalAfter(commands);
        for (let cut = 0; cut <= bytes.length; cut += 1) await expectRecovered(directory, segment, bytes, cut, before);
      }),
      { numRuns: 2 },
    );
  });

  it('does so after much longer histories, cut at and beside the ends of records', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 60 }), async (commands) => {
        const { directory, segment, bytes, before } = await journalAfter(commands);
        for (const end of boundaries(bytes).slice(-6))
          for (const cut of [end - 1, end, end + 1, end + 8])
            if (cut <= bytes.length) await expectRecovered(directory, segment, bytes, cut, before);
      }),
      { numRuns: 6 },
    );
  });

  it('tells of any changed byte before the last record, in place of going on without what follows', async () => {
    const directory = folder();
    const written = intent();
    await play(directory, [
      { does: 'BEGIN', hasHold: true },
      { does: 'SETTLE', which: 0, isLast: true },
      { does: 'NAME_A_FACT' },
    ]);
    const path = segmentPath(directory, 1);
    const bytes = readFileSync(path);
    const ends = boundaries(bytes);
    for (let at = HEADER; at < (ends.at(-2) as number); at += 1) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(at) ^ (1 << (at % 8)), at);
      writeFileSync(path, changed);
      const start = ends.findLast((end) => end <= at) as number;
      const told = `${path} is damaged at offset ${start}: no whole record begins there`;
      expect(() => open(directory)).toThrow(expect.objectContaining({ message: expect.stringContaining(told) }));
      expect(readFileSync(path).equals(changed)).toBe(true);
    }
    expect(() => open(directory)).toThrow(JournalError);
    // What is in Postgres already is not needed any more.
    const { log } = recordedLog();
    const position = { segment: 1, offset: ends.at(-2) as number };
    const last = openLastSegment(directory, IDENTITY, position, log);
    expect(last.size).toBe(bytes.length);
    closeSync(last.fd);
    // Behind another segment it is the reader that meets it.
    writeFileSync(segmentPath(directory, 2), Buffer.concat([headerOf(IDENTITY), frame(encodeIntent(written))]));
    const { journal } = open(directory);
    await expect(recover(journal, directory)).rejects.toThrow(`${path} is damaged at offset`);
    await journal.close();
  });

  it('cuts off the blocks that a power cut lost, also where a whole record follows them', async () => {
    const directory = folder();
    await play(directory, [{ does: 'BEGIN', hasHold: false }]);
    const path = segmentPath(directory, 1);
    const bytes = readFileSync(path);
    const follows = frame(encodeIntent(intent()));
    writeFileSync(path, Buffer.concat([bytes, Buffer.alloc(4096), follows]));
    const { journal, entries } = open(directory);
    expect(journal.end.offset).toBe(bytes.length);
    expect(entries).toMatchObject([{ level: 'warn', bytes: 4096 + follows.length }]);
    await journal.close();
  });
});
