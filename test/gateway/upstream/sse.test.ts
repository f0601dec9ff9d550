import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SseReader } from '../../../src/gateway/upstream/sse.ts';

const STREAM = Buffer.from(
  ': hello\r\n\r\ndata: {"text":"grüße 🚂"}\r\n\r\nevent: x\ndata: {"a":\ndata: 1}\n\ndata: [DONE]\n\n',
);
const EVENTS = ['{"text":"grüße 🚂"}', '{"a": 1}', '[DONE]'];

function read(pieces: Buffer[]): string[] {
  const reader = new SseReader();
  return [...pieces.flatMap((piece) => reader.push(piece)), ...reader.end()];
}

test('events are the same however the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(STREAM.length), { maxLength: 12 }), (cuts) => {
      const sorted = [0, ...cuts.sort((a, b) => a - b), STREAM.length];
      const pieces = sorted.slice(1).map((end, index) => STREAM.subarray(sorted[index], end));
      expect(read(pieces)).toEqual(EVENTS);
    }),
    { numRuns: 500 },
  );
  expect(read([...STREAM].map((byte) => Buffer.from([byte])))).toEqual(EVENTS);
});

test('a last event without its blank line counts', () => {
  expect(read([Buffer.from('data: [DONE]')])).toEqual(['[DONE]']);
});

test('events without blank lines between them are told apart, if each line is whole', () => {
  expect(read([Buffer.from('data: {"a":1}\ndata: {"b":2}\ndata: [DONE]')])).toEqual(['{"a":1}', '{"b":2}', '[DONE]']);
});
