import { spawnSync } from 'node:child_process';
import { copyFileSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Journal } from '../../../src/gateway/ledger/journal.ts';
import { JournalReader } from '../../../src/gateway/ledger/journal-reader.ts';
import { openLastSegment } from '../../../src/gateway/ledger/open-journal.ts';
import { JournalError, listSegments, type Position, segmentPath } from '../../../src/gateway/ledger/segments.ts';
import { folder, recordedLog } from './kit.ts';

const IDENTITY = { clusterId: 'cluster-1', serverId: 'server-1' };
const START: Position = { segment: 1, offset: 0 };

function openJournal(directory: string, { fsync = false, position = null as Position | null } = {}) {
  const { log, entries } = recordedLog();
  const last = openLastSegment(directory, IDENTITY, position, log);
  const options = { directory, identity: IDENTITY, fsync, onGrown: () => {}, onError: () => {} };
  return { journal: new Journal(options, last), entries };
}

function readAll(directory: string, end: Position, start = START): string[] {
  const reader = new JournalReader(directory, IDENTITY, start);
  const payloads: string[] = [];
  try {
    for (;;) {
      const records = reader.read(end, 100);
      if (records.length === 0) return payloads;
      payloads.push(...records.map(({ payload }) => payload));
    }
  } finally {
    reader.close();
  }
}

describe('the journal', () => {
  it.each([false, true])('gives back, after it is opened again, what was appended (fsync %s)', async (fsync) => {
    const directory = folder();
    const written = Array.from({ length: 50 }, (_, index) => `record ${index} ü 😀 ${'x'.repeat(index * 100)}`);
    const first = openJournal(directory, { fsync }).journal;
    for (let index = 0; index < 30; index += 3)
      await Promise.all(written.slice(index, index + 3).map((payload) => first.append(payload, false)));
    await first.close();
    const second = openJournal(directory, { fsync }).journal;
    for (const payload of written.slice(30)) second.append(payload, false);
    await second.flush();
    expect(readAll(directory, second.end)).toEqual(written);
    await second.close();
  });

  it('makes all records of one turn of the event loop durable together', async () => {
    const directory = folder();
    const { journal } = openJournal(directory);
    const before = journal.end;
    const [first, second] = [journal.append('a', false), journal.append('b', false)];
    expect(first).toBe(second);
    expect(journal.end).toEqual(before);
    await second;
    const third = journal.append('c', false);
    expect(third).not.toBe(first);
    await third;
    expect(statSync(segmentPath(directory, 1)).size).toBe(journal.end.offset);
    await journal.close();
  });

  it('collects the next group while one is being synced, and keeps their order', async () => {
    const directory = folder();
    const { journal } = openJournal(directory, { fsync: true });
    const done: number[] = [];
    const promises: Promise<void>[] = [];
    for (let index = 0; index < 200; index += 1) {
      promises.push(journal.append(`${index}`, false).then(() => void done.push(index)));
      if (index % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(promises);
    const order = Array.from({ length: 200 }, (_, index) => index);
    expect(done).toEqual(order);
    expect(readAll(directory, journal.end)).toEqual(order.map(String));
    await journal.close();
  });

  it('goes on in another segment when one is full, and reads across them', async () => {
    const directory = folder();
    const { journal } = openJournal(directory);
    const payload = 'y'.repeat(1_000_000);
    for (let index = 0; index < 140; index += 10)
      await Promise.all(Array.from({ length: 10 }, (_, n) => journal.append(`${index + n} ${payload}`, false)));
    expect(listSegments(directory)).toEqual([1, 2, 3]);
    const numbers = readAll(directory, journal.end).map((text) => Number.parseInt(text, 10));
    expect(numbers).toEqual(Array.from({ length: 140 }, (_, index) => index));
    await journal.close();
  });

  it('cuts off the last record wherever it was torn, and appends behind the one before', async () => {
    const directory = folder();
    const { journal } = openJournal(directory);
    await journal.append('kept', false);
    const kept = journal.end;
    await journal.append('torn off', false);
    const { offset } = journal.end;
    await journal.close();
    const path = segmentPath(directory, 1);
    copyFileSync(path, `${path}.whole`);
    for (let size = kept.offset + 1; size < offset; size += 1) {
      copyFileSync(`${path}.whole`, path);
      truncateSync(path, size);
      const { journal: opened, entries } = openJournal(directory);
      expect(opened.end).toEqual(kept);
      expect(entries).toMatchObject([{ level: 'warn', offset: kept.offset }]);
      await opened.append('next', false);
      expect(readAll(directory, opened.end)).toEqual(['kept', 'next']);
      await opened.close();
    }
  });

  it('cuts off a last record whose bytes are wrong, and blocks that the disk lost', async () => {
    const directory = folder();
    const { journal } = openJournal(directory);
    await journal.append('kept', false);
    const kept = journal.end;
    await journal.append('torn off', false);
    await journal.close();
    const path = segmentPath(directory, 1);
    const bytes = readFileSync(path);
    bytes[bytes.length - 1] = 0;
    for (const tail of [bytes.subarray(kept.offset), Buffer.alloc(4096), Buffer.alloc(100, 0xff)]) {
      writeFileSync(path, Buffer.concat([bytes.subarray(0, kept.offset), tail]));
      const opened = openJournal(directory).journal;
      expect(opened.end).toEqual(kept);
      await opened.close();
      expect(statSync(path).size).toBe(kept.offset);
    }
  });

  it('begins the last segment again when the process was killed while making it', async () => {
    const directory = folder();
    const { journal } = openJournal(directory);
    await journal.append('one', false);
    const { offset } = journal.end;
    await journal.close();
    const header = readFileSync(segmentPath(directory, 1)).subarray(0, offset);
    for (const size of [0, 1, 7, 8, 20]) {
      writeFileSync(segmentPath(directory, 2), header.subarray(0, size));
      const opened = openJournal(directory).journal;
      await opened.append('two', false);
      expect(readAll(directory, opened.end)).toEqual(['one', 'two']);
      await opened.close();
    }
  });

  it('refuses the journal of another database or server, and names the file', () => {
    const directory = folder();
    openJournal(directory);
    const { log } = recordedLog();
    const openAs = (identity: typeof IDENTITY) => () => openLastSegment(directory, identity, null, log);
    expect(openAs({ ...IDENTITY, clusterId: 'cluster-2' })).toThrow(
      /0000000001\.journal belongs to the database .*cluster-1/,
    );
    expect(openAs({ ...IDENTITY, serverId: 'server-2' })).toThrow(/belongs to the server server-1/);
  });

  it('stops loudly at a damaged record of an older segment, and names file and offset', async () => {
    const directory = folder();
    const { journal } = openJournal(directory);
    await journal.append('one', false);
    const { offset } = journal.end;
    await journal.append('two', false);
    await journal.close();
    const path = segmentPath(directory, 1);
    const bytes = readFileSync(path);
    bytes.writeUInt8(bytes.readUInt8(offset + 9) ^ 1, offset + 9);
    const other = folder();
    await openJournal(other).journal.close();
    copyFileSync(segmentPath(other, 1), segmentPath(directory, 2));
    writeFileSync(path, bytes);
    const reader = new JournalReader(directory, IDENTITY, START);
    const end = { segment: 2, offset: statSync(segmentPath(directory, 2)).size };
    const read = () => reader.read(end, 100);
    expect(read).toThrow(JournalError);
    expect(read).toThrow(`${path} is damaged at offset ${offset}`);
    reader.close();
  });

  it('never appends before what Postgres has of it, when the disk lost the end', async () => {
    const directory = folder();
    const { journal } = openJournal(directory);
    await journal.append('lost', false);
    const position = journal.end;
    await journal.close();
    truncateSync(segmentPath(directory, 1), position.offset - 3);
    const { journal: opened, entries } = openJournal(directory, { position });
    expect(entries.map(({ level }) => level)).toContain('error');
    await opened.append('new', false);
    expect(readAll(directory, opened.end, position)).toEqual(['new']);
    await opened.close();
    const emptied = openJournal(folder(), { position: { segment: 7, offset: 90 } }).journal;
    expect(emptied.end.segment).toBe(8);
    await emptied.close();
  });

  it('refuses new records once it is closed', async () => {
    const { journal } = openJournal(folder());
    await journal.close();
    await expect(journal.append('late', false)).rejects.toMatchObject({ code: 'OVERLOADED' });
  });

  it.runIf(process.platform === 'linux')(
    'refuses what does not fit on the disk, loses nothing that it confirmed, and goes on when there is room',
    () => {
      const directory = folder();
      const child = new URL('./full-disk.mjs', import.meta.url).pathname;
      const run = spawnSync(process.execPath, [child, directory], { encoding: 'utf8', timeout: 20_000 });
      expect(run.stderr).toBe('');
      const { confirmed, refused, codes, sizes } = JSON.parse(run.stdout);
      expect(refused.length).toBeGreaterThan(0);
      expect(codes).toEqual(['OVERLOADED']);
      // Nothing of a refused group stays in the file.
      expect(sizes.file).toBe(sizes.end);
      const opened = openJournal(directory).journal;
      const kept = readAll(directory, opened.end);
      expect(new Set(kept)).toEqual(new Set([...confirmed, `must be kept ${'z'.repeat(5000)}`]));
      expect(kept).toHaveLength(confirmed.length + 1);
    },
  );
});
