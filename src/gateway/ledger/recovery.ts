import { decodeEntry, type JournalEntry } from './decode.ts';
import { encodeSettlement } from './encode.ts';
import type { Journal } from './journal.ts';
import { JournalReader } from './journal-reader.ts';
import { OpenCompletions } from './open-completions.ts';
import type { JournalIdentity, Position } from './segments.ts';
import { settlementsOfLost } from './settlement.ts';

const READ_RECORDS = 10_000;

/**
 * Closes what the last process of this server left open, through the journal itself: killed in the middle, the next
 * start closes the rest.
 * @param start the position that Postgres holds; everything open lies behind it.
 * @returns how many completions were closed.
 * @throws JournalError at a damaged record.
 */
export async function closeLostCompletions(
  journal: Journal,
  directory: string,
  identity: JournalIdentity,
  start: Position,
): Promise<number> {
  const { open, lastSeenAt } = readOpen(directory, identity, start, journal.end);
  const completions = [...open.values()];
  const records = completions.flatMap((completion) => settlementsOfLost(completion, lastSeenAt));
  await Promise.all(records.map((record) => journal.append(encodeSettlement(record), true)));
  return completions.length;
}

function readOpen(
  directory: string,
  identity: JournalIdentity,
  start: Position,
  end: Position,
): { open: OpenCompletions; lastSeenAt: number } {
  const reader = new JournalReader(directory, identity, start);
  const open = new OpenCompletions();
  let lastSeenAt = 0;
  try {
    for (;;) {
      const records = reader.read(end, READ_RECORDS);
      if (records.length === 0) return { open, lastSeenAt };
      for (const { payload, position } of records) {
        const entry = decodeEntry(payload);
        if (entry.kind === 'PRICE' || entry.kind === 'FACT') continue;
        open.apply(entry, position);
        lastSeenAt = Math.max(lastSeenAt, writtenAt(entry));
      }
    }
  } finally {
    reader.close();
  }
}

function writtenAt(entry: Exclude<JournalEntry, { kind: 'PRICE' | 'FACT' }>): number {
  if (entry.kind === 'INTENT') return entry.intent.startedAt;
  return entry.kind === 'SETTLEMENT' ? entry.attempt.finishedAt : entry.completion.finishedAt;
}
