import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { expect } from 'vitest';
import type { Usage } from '../../../src/gateway/ledger/prices.ts';
import { parseBody } from '../../../src/gateway/upstream/body.ts';
import type { ChatCall, Dialect, Piece, StreamReader } from '../../../src/gateway/upstream/dialect.ts';
import { SseReader } from '../../../src/gateway/upstream/sse.ts';

/** An exchange with a real provider. */
export interface Recording {
  file: string;
  provider: string;
  tags: readonly string[];
  url: string;
  request: Record<string, unknown> | null;
  status: number;
  responseHeaders: Record<string, string> | null;
  response: string;
}

const FOLDER = process.env.WIRE_RECORDINGS ?? '';

/** Those of one dialect; none, and a word about it, where WIRE_RECORDINGS does not name their folder. */
export function recordingsOf(dialect: 'openai' | 'anthropic' | 'gemini'): Recording[] {
  const folder = join(FOLDER, dialect);
  if (FOLDER === '' || !existsSync(folder)) {
    console.log(`WIRE_RECORDINGS names no folder with recordings of ${dialect}: they are not compared.`);
    return [];
  }
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({ file: basename(file, '.json'), ...JSON.parse(readFileSync(join(folder, file), 'utf8')) }));
}

/** What an answer says, put together from all its pieces. */
export interface Folded {
  text: string;
  reasoning: string;
  toolCalls: { id: string | null; name: string; arguments: unknown }[];
  finishReason: string | null;
  usage: Usage | null;
  model: string | null;
  error: unknown;
}

export function fold(pieces: readonly Piece[]): Folded {
  const folded: Folded = {
    text: '',
    reasoning: '',
    toolCalls: [],
    finishReason: null,
    usage: null,
    model: null,
    error: null,
  };
  const calls = new Map<number, { id: string | null; name: string; arguments: string }>();
  for (const { data, chunk } of pieces) {
    expect(() => JSON.parse(data)).not.toThrow();
    folded.text += chunk.text;
    folded.reasoning += chunk.reasoning;
    folded.finishReason ??= chunk.finishReasons[0]?.reason ?? null;
    folded.usage = chunk.usage ?? folded.usage;
    folded.model = chunk.model ?? folded.model;
    folded.error ??= chunk.error;
    for (const part of chunk.toolCalls) {
      const call = calls.get(part.index) ?? { id: null, name: '', arguments: '' };
      calls.set(part.index, {
        id: call.id ?? part.id,
        name: call.name || (part.name ?? ''),
        arguments: call.arguments + part.arguments,
      });
    }
  }
  folded.toolCalls = [...calls]
    .sort(([a], [b]) => a - b)
    .map(([, call]) => ({ ...call, arguments: parseArguments(call.arguments) }));
  return folded;
}

/** Arguments that are cut off are compared as they are. */
export function parseArguments(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A call to the dialect that asks for as little as can be. */
export function plainCall(dialect: Dialect, isStreamed: boolean, more: object = {}): ChatCall {
  const body = { model: 'm', messages: [{ role: 'user', content: 'Hi' }], stream: isStreamed, ...more };
  return dialect.prepare({
    body: parseBody(Buffer.from(JSON.stringify(body))),
    kind: 'CUSTOM',
    model: { name: 'm', maxOutputTokens: null },
    isStreamed,
    wantsUsage: true,
    requestId: '01930000-0000-7000-8000-000000000000',
    startedAt: 1_700_000_000_000,
    images: new Map(),
  });
}

/** What a reader makes of bytes that come in these pieces. */
export function readStream(reader: StreamReader, chunks: Iterable<Buffer>): Piece[] {
  const sse = new SseReader();
  const pieces: Piece[] = [];
  const take = (events: readonly string[]) => {
    for (const event of events) if (!reader.isDone) pieces.push(...reader.push(event));
  };
  for (const chunk of chunks) take(sse.push(chunk));
  take(sse.end());
  pieces.push(...reader.end());
  return pieces;
}

/** The same bytes, one at a time: cut at every boundary there is. */
export function* byteByByte(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at++) yield bytes.subarray(at, at + 1);
}

/** The same bytes, cut at a few places: events are merged in some, and halved in others. */
export function randomlyCut(bytes: Buffer): fc.Arbitrary<Buffer[]> {
  return fc.uniqueArray(fc.nat(bytes.length), { maxLength: 12 }).map((cuts) => {
    const places = [0, ...cuts.sort((a, b) => a - b), bytes.length];
    return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
  });
}

/** However the bytes are cut, the same pieces come of them. */
export function expectSameHoweverCut(open: () => StreamReader, bytes: Buffer, pieces: readonly Piece[]): void {
  expect(readStream(open(), byteByByte(bytes))).toEqual(pieces);
  fc.assert(
    fc.property(randomlyCut(bytes), (chunks) => {
      expect(readStream(open(), chunks)).toEqual(pieces);
    }),
    { numRuns: 10 },
  );
}
