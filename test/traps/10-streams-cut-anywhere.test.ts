import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type TestServer } from '../kit/server.ts';
import { chunk, connectProviders, startUpstream, type Upstream } from '../kit/upstream.ts';

const TEXT = 'Grüße aus Köln 🚂 an alle';

/** The events of an answer, as text without the blank line behind each. */
const EVENTS = [
  ...[...TEXT].map((character) => chunk(character)),
  chunk('', 'stop'),
  { ...chunk(''), choices: [], usage: { prompt_tokens: 1, completion_tokens: 9, total_tokens: 10 } },
].map((event) => `data: ${JSON.stringify(event)}`);
const ALL = [...EVENTS, 'data: [DONE]'];

const joined = (end: string) => Buffer.from(ALL.map((event) => event + end).join(''));

/** Each byte that is not the first of its character begins a new piece. */
function cutInsideCharacters(bytes: Buffer): Buffer[] {
  const cuts = [...bytes.keys()].filter((at) => ((bytes[at] ?? 0) & 0xc0) === 0x80);
  return [0, ...cuts].map((start, index) => bytes.subarray(start, cuts[index]));
}

/** One answer, as providers send it: what comes in one read each. */
const STREAMS: Record<string, Buffer[]> = {
  'CRLF frames': ALL.map((event) => Buffer.from(`${event}\r\n\r\n`)),
  'CRLF frames that are cut between CR and LF': ALL.flatMap((event) =>
    [`${event}\r`, '\n\r', '\n'].map((part) => Buffer.from(part)),
  ),
  'comments between events': ALL.map((event) => Buffer.from(`: PROCESSING\n\n${event}\n\n`)),
  'comments inside events': ALL.map((event) => Buffer.from(`: ping\nid: 7\nevent: chunk\n${event}\n\n`)),
  'pieces that are cut inside characters': cutInsideCharacters(joined('\n\n')),
  'several events in one read': [joined('\n\n')],
  'all of it at once': cutInsideCharacters(
    Buffer.from(`: hello\r\n\r\n${joined('\r\n\r\n')}`.replaceAll('\r\n\r\ndata', '\r\n\r\n: x\r\n\r\ndata')),
  ),
};

let server: TestServer;
let upstream: Upstream;
let pieces: Buffer[] = [];
beforeAll(async () => {
  upstream = await startUpstream(async (response) => {
    response.socket?.setNoDelay(true);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const piece of pieces) {
      response.write(piece);
      // Long enough for the reader to take this piece by itself.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    response.end();
  });
  server = await startServer();
  await connectProviders(server, { cut: upstream });
});
afterAll(async () => {
  await server.close();
  await upstream.close();
});

/** Reads an answer from the provider by hand; `readEvents` takes the text of a read and returns the data of events. */
async function readByHand(readEvents: (text: string) => string[]): Promise<string> {
  const response = await fetch(`${upstream.url}/chat/completions`, { method: 'POST' });
  let text = '';
  try {
    for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
      for (const data of readEvents(Buffer.from(bytes).toString())) {
        if (data !== '[DONE]') text += JSON.parse(data).choices[0]?.delta.content ?? '';
      }
    }
  } catch (error) {
    return String(error);
  }
  return text;
}

/** As in many examples: what is between blank lines, without `data: `. */
function splitAtBlankLines(): (text: string) => string[] {
  let rest = '';
  return (text) => {
    const parts = (rest + text).split('\n\n');
    rest = parts.pop() ?? '';
    return parts.map((part) => part.slice('data: '.length));
  };
}

/** As in others: each read is an event. */
const takeReads = () => (text: string) => [text.trim().slice('data: '.length)];

async function throughGraphQL(): Promise<string> {
  const query = `subscription { completion(input: { messages: [{ role: USER, content: "Hi" }] }) {
    ... on CompletionDelta { text } ... on CompletionFailed { error { message } } } }`;
  let text = '';
  for await (const { data } of server.ws().iterate<{ completion: { text?: string; error?: object } }>({ query })) {
    if (data?.completion.error) return JSON.stringify(data.completion.error);
    text += data?.completion.text ?? '';
  }
  return text;
}

async function throughOpenAI(): Promise<string> {
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: server.apiKey, maxRetries: 0 });
  const messages = [{ role: 'user' as const, content: 'Hi' }];
  let text = '';
  for await (const { choices } of await client.chat.completions.create({ model: 'cut/m', messages, stream: true })) {
    text += choices[0]?.delta.content ?? '';
  }
  return text;
}

describe.each(Object.entries(STREAMS))('a stream with %s', (name, stream) => {
  test('is not read by splitting text', async () => {
    pieces = stream;
    const splitter = name === 'several events in one read' ? takeReads : splitAtBlankLines;
    expect(await readByHand(splitter())).not.toBe(TEXT);
  });

  test('is relayed whole by ours, over GraphQL and over /v1', async () => {
    pieces = stream;
    expect(await throughGraphQL()).toBe(TEXT);
    expect(await throughOpenAI()).toBe(TEXT);
  });
});

test('the readers that split text are right about a stream that comes as they expect', async () => {
  pieces = ALL.map((event) => Buffer.from(`${event}\n\n`));
  for (const splitter of [splitAtBlankLines, takeReads]) expect(await readByHand(splitter())).toBe(TEXT);
});
