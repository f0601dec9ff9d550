import fc from 'fast-check';
import { expect, it } from 'vitest';
import { coalesce, type Delta } from '../../../src/control/completions/coalesce.ts';
import type { AnswerHead, CompletionEvent, CompletionReport, StreamEvent } from '../../../src/gateway/completion.ts';
import { UpstreamError } from '../../../src/platform/errors.ts';

const INTERVAL_MS = 20;
const started: CompletionEvent = { type: 'started', head: {} as AnswerHead };
const finished: CompletionEvent = { type: 'finished', report: {} as CompletionReport, usageEvent: null };
const failed: CompletionEvent = {
  type: 'failed',
  error: new UpstreamError('broken', { provider: 'p', upstreamStatus: null, attempts: 1 }),
  report: null,
  requestId: 'r',
};

function event(seq: number, part: Partial<StreamEvent>): StreamEvent {
  return { seq, data: '', text: '', reasoning: '', toolCalls: [], ...part };
}

function texts(...parts: string[]): CompletionEvent {
  return { type: 'events', events: parts.map((text, seq) => event(seq, { text })) };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Yields the steps; a number is a pause in milliseconds. Counts what was read of it. */
class Source {
  read = 0;
  isClosed = false;
  readonly #steps: readonly (CompletionEvent | number)[];

  constructor(...steps: (CompletionEvent | number)[]) {
    this.#steps = steps;
  }

  async *events(): AsyncGenerator<CompletionEvent, void, undefined> {
    try {
      for (const step of this.#steps) {
        if (typeof step === 'number') {
          await pause(step);
          continue;
        }
        this.read += 1;
        yield step;
      }
    } finally {
      this.isClosed = true;
    }
  }
}

async function collect(source: Source) {
  const seen: { at: number; type: string; delta: Delta | null }[] = [];
  for await (const item of coalesce(source.events(), INTERVAL_MS)) {
    seen.push({ at: performance.now(), type: item.type, delta: item.type === 'delta' ? item : null });
  }
  return seen;
}

it('passes on every character, in order and once, before the last event, however the upstream cuts it', async () => {
  const part = fc.record({
    text: fc.string({ maxLength: 5 }),
    reasoning: fc.string({ maxLength: 3 }),
    toolCalls: fc.array(
      fc.record({
        index: fc.integer({ min: 0, max: 2 }),
        id: fc.constant(null),
        name: fc.constant(null),
        arguments: fc.string({ maxLength: 3 }),
      }),
      { maxLength: 2 },
    ),
  });
  const step = fc.oneof(fc.array(part, { minLength: 1, maxLength: 4 }), fc.integer({ min: 0, max: 12 }));
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 8 }), fc.boolean(), async (steps, ends) => {
      let seq = 0;
      const events = steps.map((entry) =>
        typeof entry === 'number'
          ? entry
          : ({ type: 'events', events: entry.map((content) => event(seq++, content)) } as const),
      );
      const seen = await collect(new Source(started, ...events, ends ? finished : failed));
      const deltas = seen.flatMap(({ delta }) => delta ?? []);
      const sent = events.flatMap((entry) => (typeof entry === 'number' ? [] : entry.events));
      expect(deltas.map(({ text }) => text).join('')).toBe(sent.map(({ text }) => text).join(''));
      expect(deltas.map(({ reasoning }) => reasoning).join('')).toBe(sent.map(({ reasoning }) => reasoning).join(''));
      for (const index of [0, 1, 2]) {
        const joined = (list: readonly { toolCalls: StreamEvent['toolCalls'] }[]) =>
          list.flatMap(({ toolCalls }) => toolCalls.filter((call) => call.index === index).map((c) => c.arguments));
        expect(joined(deltas).join('')).toBe(joined(sent).join(''));
      }
      expect(seen.at(0)?.type).toBe('started');
      expect(seen.at(-1)?.type).toBe(ends ? 'finished' : 'failed');
      const numbers = deltas.map((delta) => delta.seq);
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      const tokens = deltas.map(({ outputTokens }) => outputTokens);
      expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
    }),
    { numRuns: 60 },
  );
});

// A busy machine can miss the limits by itself.
it('sends the first delta at once and later ones one per interval', { retry: 3 }, async () => {
  const begin = performance.now();
  const seen = await collect(
    new Source(
      started,
      texts('a'),
      ...Array(40)
        .fill([3, texts('b')])
        .flat(),
      finished,
    ),
  );
  const deltas = seen.filter(({ delta }) => delta);
  expect((deltas[0]?.at ?? 0) - begin).toBeLessThan(15);
  expect(deltas[0]?.delta?.text).toBe('a');
  // The one that comes with the end need not wait.
  const gaps = deltas.slice(1, -1).map(({ at }, index) => at - (deltas[index]?.at ?? 0));
  expect(gaps.length).toBeGreaterThan(2);
  for (const gap of gaps) expect(gap).toBeGreaterThan(INTERVAL_MS - 2);
  expect(deltas.length).toBeLessThan(15);
});

it('does not hold the last delta and the end back for the interval', async () => {
  const source = new Source(started, texts('a'), texts('b'), finished);
  const begin = performance.now();
  const seen = await collect(source);
  expect(seen.map(({ type }) => type)).toEqual(['started', 'delta', 'delta', 'finished']);
  expect(performance.now() - begin).toBeLessThan(INTERVAL_MS);
});

it('reads nothing from the upstream while its reader is busy', async () => {
  const source = new Source(started, ...Array(1_000).fill(texts('x')), finished);
  const reader = coalesce(source.events(), INTERVAL_MS);
  await reader.next();
  await reader.next();
  const before = source.read;
  await pause(3 * INTERVAL_MS);
  expect(source.read - before).toBeLessThanOrEqual(1);
  await reader.return();
});

it('stops reading when a delta has grown large, and goes on at its turn', async () => {
  const big = 'x'.repeat(30_000);
  const source = new Source(started, texts('a'), ...Array(20).fill(texts(big)), finished);
  const seen = await collect(source);
  const lengths = seen.flatMap(({ delta }) => delta?.text.length ?? []);
  expect(Math.max(...lengths)).toBeLessThanOrEqual(65_536 + big.length);
  expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(1 + 20 * big.length);
});

it('closes the upstream when its reader stops early', async () => {
  const source = new Source(started, texts('a'), texts('b'), finished);
  for await (const item of coalesce(source.events(), INTERVAL_MS)) if (item.type === 'delta') break;
  expect(source.isClosed).toBe(true);
});
