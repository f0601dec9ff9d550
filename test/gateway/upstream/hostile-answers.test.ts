import { describe, expect, test } from 'vitest';
import { AnthropicStream } from '../../../src/gateway/upstream/anthropic/stream.ts';
import { parseDataUrl } from '../../../src/gateway/upstream/data-url.ts';
import { readFailure } from '../../../src/gateway/upstream/failure.ts';
import { modelPath } from '../../../src/gateway/upstream/gemini/model-path.ts';
import { GeminiStream } from '../../../src/gateway/upstream/gemini/stream.ts';
import { readModelPage } from '../../../src/gateway/upstream/model-list.ts';
import { OpenAIStream } from '../../../src/gateway/upstream/openai/stream.ts';
import { SseReader } from '../../../src/gateway/upstream/sse.ts';

const identity = { id: 'x', created: 0, model: 'm' };
const place = { provider: 'acme', attempt: 1, secret: null, inputTokens: 10 };

function argumentsOf(partialArgs: object[]): string | undefined {
  const reader = new GeminiStream({ ...identity });
  const functionCall = { name: 'f', partialArgs };
  const data = JSON.stringify({ candidates: [{ content: { parts: [{ functionCall }] } }] });
  return [...reader.push(data), ...reader.end()].flatMap(({ chunk }) => chunk.toolCalls)[0]?.arguments;
}

describe('a short event that would become a long one', () => {
  test('indices far behind the end of a list are passed over', () => {
    const far = Array.from({ length: 200 }, (_, at) => ({
      jsonPath: `$.a${at}${'[9999]'.repeat(63)}`,
      numberValue: 1,
    }));
    expect(argumentsOf(far)?.length).toBeLessThan(10_000);
    expect(
      argumentsOf([
        { jsonPath: '$.a[0]', numberValue: 1 },
        { jsonPath: '$.a.length', numberValue: 3e7 },
      ]),
    ).toBe('{"a":[1]}');
    expect(
      argumentsOf([
        { jsonPath: '$.a[0]', numberValue: 1 },
        { jsonPath: '$.a[1].b', stringValue: 'x' },
      ]),
    ).toBe('{"a":[1,{"b":"x"}]}');
  });

  test.each(['input token count ', 'flagged by ', 'usage limit '])('an error full of %j is read at once', (prefix) => {
    const body = JSON.stringify({ error: { message: prefix.repeat(100_000) } });
    const startedAt = performance.now();
    readFailure(400, {}, body, place);
    expect(performance.now() - startedAt).toBeLessThan(500);
  });

  test('a data URL is looked for in its first characters only', () => {
    expect(parseDataUrl(`data:a/b${';'.repeat(4_000_000)}`)).toBeNull();
    expect(parseDataUrl('data:image/PNG;x=1;base64,AAAA')).toEqual({ mediaType: 'image/png', data: 'AAAA' });
  });
});

describe('errors that are not what they look like', () => {
  const read = (status: number, error: object) => readFailure(status, {}, JSON.stringify({ error }), place);

  test('a client that names its tool after a key does not put the key to rest', () => {
    const message = "Invalid schema for function 'get_api_key': schema must be an object, not found.";
    const told = { message, type: 'invalid_request_error', param: 'tools[0].function.parameters' };
    expect(read(400, told)).toMatchObject({ remedy: 'NONE', key: null, error: { code: 'VALIDATION' } });
    expect(read(400, { message })).toMatchObject({ remedy: 'NONE', key: null });
    expect(read(400, { message: 'API key not valid. Please pass a valid API key.' })).toMatchObject({
      key: 'REJECTED',
    });
    expect(read(403, { message: 'Your API key was reported as leaked.' })).toMatchObject({ key: 'REJECTED' });
  });

  test("an empty account at Anthropic is not the client's mistake", () => {
    const message = 'Your credit balance is too low to access the Anthropic API.';
    const told = read(400, { type: 'invalid_request_error', message });
    expect(told).toMatchObject({ remedy: 'OTHER_TARGET', error: { code: 'UPSTREAM' } });
  });

  test('an error inside a choice keeps its meaning, and nothing of the answer is quoted', () => {
    const choice = { index: 0, delta: { content: 'secret answer' }, error: { code: 429, message: 'slow down' } };
    const [piece] = new OpenAIStream(true).push(JSON.stringify({ choices: [choice] }));
    const failure = readFailure(200, {}, piece?.data ?? '', place);
    expect(failure).toMatchObject({ remedy: 'OTHER_KEY', key: 'LIMITED' });
    expect(failure.error.message).not.toContain('secret answer');
  });
});

describe('usage that is known before the end', () => {
  test('Anthropic tells that of the prompt first', () => {
    const usage = { input_tokens: 10, cache_read_input_tokens: 5, output_tokens: 1 };
    const start = { type: 'message_start', message: { id: 'i', model: 'm', content: [], usage } };
    const [first] = new AnthropicStream({ ...identity }, null).push(JSON.stringify(start));
    expect(first?.chunk).toMatchObject({ usage: null, usageSoFar: { inputTokens: 15, cachedTokens: 5 } });
  });

  test('Gemini tells it with each response, also with the one that fails', () => {
    const usageMetadata = { promptTokenCount: 10_000, thoughtsTokenCount: 5_000 };
    const text = { candidates: [{ content: { parts: [{ text: 'a' }] } }], usageMetadata };
    const [first] = new GeminiStream({ ...identity }).push(JSON.stringify(text));
    expect(first?.chunk).toMatchObject({ usage: null, usageSoFar: { inputTokens: 10_000 } });
    const failed = { candidates: [{ finishReason: 'MALFORMED_FUNCTION_CALL' }], usageMetadata };
    const [error] = new GeminiStream({ ...identity }).push(JSON.stringify(failed));
    expect(error?.chunk).toMatchObject({ error: {}, usage: { inputTokens: 10_000, outputTokens: 5_000 } });
  });
});

test('an event over several lines is relayed on one', () => {
  expect(new SseReader().push(Buffer.from('data: {\ndata: "a":1}\n\n'))).toEqual(['{ "a":1}']);
});

test('what leads to the next page of a list goes back whole; names hold no control characters', () => {
  const page = { models: [{ name: 'models/a', displayName: 'A\u0000 b' }], nextPageToken: 't'.repeat(300) };
  const read = readModelPage('GEMINI', JSON.stringify(page));
  expect(read.next).toHaveLength(300);
  expect(read.models[0]?.displayName).toBe('A b');
});

test('half a character in a model name is no address', () => {
  expect(modelPath('\ud800')).toBe('models/%EF%BF%BD');
});

test('usage on the last chunk of a stream goes only to a client that asked for it', () => {
  const data = JSON.stringify({
    choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1, completion_tokens: 2 },
  });
  expect(new OpenAIStream(true).push(data)[0]?.data).toBe(data);
  const [piece] = new OpenAIStream(false).push(data);
  expect(JSON.parse(piece?.data ?? '')).toEqual({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
  expect(piece?.chunk.usage).toMatchObject({ inputTokens: 1, outputTokens: 2 });
});
