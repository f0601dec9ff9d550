import { type FunctionCall, type GenerateContentResponse, GoogleGenAI } from '@google/genai';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { MalformedAnswer } from '../../../../src/gateway/upstream/dialect.ts';
import { geminiDialect } from '../../../../src/gateway/upstream/gemini/dialect.ts';
import { expectSameHoweverCut, type Folded, fold, plainCall, readStream, recordingsOf } from '../recordings.ts';

/**
 * Recordings that are no answers of generateContent. All others are compared, two with help for the SDK: it leaves it to
 * its callers to put arguments together that come in pieces, and fails where events lack the blank
 * lines between them.
 */
const OTHERS: readonly (readonly [mark: RegExp, why: string])[] = [
  [/^data: \{"setupComplete"/, 'a session of the Live API, which speaks over WebSocket'],
  [/^\{\s*"name": "cachedContents\//, 'a cache that was made'],
  [/^\{\s*"name": "projects\//, 'a cache that was made'],
];
const answered = recordingsOf('gemini').filter(({ status }) => status === 200);
const isOther = (response: string) => OTHERS.some(([mark]) => mark.test(response));
const all = answered.map(({ file, response }): [string, string] => [file, response]);
const streams = all.filter(([, response]) => response.startsWith('data:') && !isOther(response));
const bodies = all.filter(([, response]) => !response.startsWith('data:') && !isOther(response));
const others = all.filter(([, response]) => isOther(response));

/** The official SDK, to which these bytes are the answer. It calls the global fetch. */
function sdk(response: string, type: string): GoogleGenAI {
  vi.stubGlobal('fetch', async () => new Response(response, { headers: { 'content-type': type } }));
  vi.spyOn(console, 'warn').mockReturnValue(undefined);
  return new GoogleGenAI({ apiKey: 'none' });
}
afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

const withBlankLines = (response: string) => `${response.replace(/\r?\n(?=data: )/g, '\n\n')}\n\n`;

const QUESTION = { model: 'm', contents: 'Hi' };

/** What the SDK made of the responses of one answer, as OpenAI would say it. */
function expected(responses: readonly GenerateContentResponse[]): Folded {
  const usages = responses.flatMap(({ usageMetadata }) => (usageMetadata?.promptTokenCount ? [usageMetadata] : []));
  const usage = usages.at(-1);
  const parts = responses.flatMap(({ candidates }) => candidates?.[0]?.content?.parts ?? []);
  const calls = parts.flatMap(({ functionCall }) => (functionCall ? [functionCall] : []));
  const reason = responses.flatMap(({ candidates }) => candidates?.[0]?.finishReason ?? []).at(-1);
  return {
    text: responses.map(({ text }) => text ?? '').join(''),
    reasoning: parts.map(({ text, thought }) => (thought ? (text ?? '') : '')).join(''),
    toolCalls: joined(calls),
    finishReason: reason === 'MAX_TOKENS' ? 'length' : calls.length > 0 ? 'tool_calls' : 'stop',
    usage: usage
      ? {
          inputTokens: (usage.promptTokenCount ?? 0) + (usage.toolUsePromptTokenCount ?? 0),
          outputTokens: (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0),
          cachedTokens: usage.cachedContentTokenCount ?? null,
          cacheWriteTokens: null,
          cacheWrite1hTokens: null,
          reasoningTokens: usage.thoughtsTokenCount ?? null,
        }
      : null,
    model: responses.at(-1)?.modelVersion ?? null,
    error: null,
  };
}

/** Calls with the pieces of their arguments put together. */
function joined(calls: readonly FunctionCall[]): Folded['toolCalls'] {
  const whole: { id: string; name: string; arguments: Record<string, unknown> }[] = [];
  for (const { id, name, args, partialArgs } of calls) {
    if (name !== undefined) whole.push({ id: id ?? (expect.any(String) as string), name, arguments: { ...args } });
    for (const { jsonPath = '', ...value } of partialArgs ?? []) {
      const given = whole.at(-1)?.arguments ?? {};
      const { stringValue, numberValue, boolValue } = value;
      set(given, jsonPath, (before) =>
        stringValue === undefined ? (numberValue ?? boolValue ?? null) : `${before ?? ''}${stringValue}`,
      );
    }
  }
  return whole;
}

/** Sets what stands at a path such as `$.a[0].b`. */
function set(root: object, path: string, change: (before: unknown) => unknown): void {
  const steps = path.slice(1).match(/[^.[\]]+/g) ?? [];
  let at = root as Record<string, unknown>;
  for (const [index, step] of steps.entries()) {
    if (index === steps.length - 1) at[step] = change(at[step]);
    else {
      at[step] ??= /^\d+$/.test(steps[index + 1] ?? '') ? [] : {};
      at = at[step] as Record<string, unknown>;
    }
  }
}

describe('what is recorded of Gemini is read as its own SDK reads it', () => {
  test.skipIf(answered.length === 0)('there are some', () => expect(streams.length).toBeGreaterThan(0));

  test.each(streams)('streamed: %s', async (_file, response) => {
    const call = plainCall(geminiDialect, true);
    const bytes = Buffer.from(response);
    const pieces = readStream(call.openStream(), [bytes]);
    const responses: GenerateContentResponse[] = [];
    for await (const one of await sdk(withBlankLines(response), 'text/event-stream').models.generateContentStream(
      QUESTION,
    ))
      responses.push(one);
    expect(fold(pieces)).toEqual(expected(responses));
    expectSameHoweverCut(() => call.openStream(), bytes, pieces);
  });

  test.each(bodies)('whole: %s', async (_file, response) => {
    // A stream that was not asked for as events is a list of responses; the SDK never asks for it like that.
    const parsed: unknown = JSON.parse(response);
    const list = Array.isArray(parsed) ? parsed : [parsed];
    const call = plainCall(geminiDialect, false);
    if (list.some((one) => one.error)) {
      expect(call.readAnswer(response).chunk.error).toEqual(list[0].error);
      return;
    }
    const responses: GenerateContentResponse[] = [];
    for (const one of list)
      responses.push(await sdk(JSON.stringify(one), 'application/json').models.generateContent(QUESTION));
    expect(fold([call.readAnswer(response)])).toEqual(expected(responses));
  });

  test.each(others)('is no answer: %s', (_file, response) => {
    if (response.startsWith('data:')) {
      const reader = plainCall(geminiDialect, true).openStream();
      readStream(reader, [Buffer.from(response)]);
      expect(reader.isFinished).toBe(false);
    } else expect(() => plainCall(geminiDialect, false).readAnswer(response)).toThrow(MalformedAnswer);
  });
});

test('the exceptions are few', () => {
  expect(others.length).toBeLessThan(10);
});
