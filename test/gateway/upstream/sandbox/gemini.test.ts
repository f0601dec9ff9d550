import { ApiError, type GenerateContentParameters, type GenerateContentResponse, type Part } from '@google/genai';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { countTokens } from '../../../../src/gateway/upstream/sandbox/tokens.ts';
import { geminiSdk, postContents, readEvents, useSandbox } from './kit.ts';

const sandbox = useSandbox();
const Weather = z.strictObject({ city: z.string().min(3), unit: z.enum(['c', 'f']), days: z.int().min(2) });
const functionDeclarations = [
  { name: 'get_weather', description: 'The weather', parametersJsonSchema: z.toJSONSchema(Weather) },
  { name: 'get_time' },
];
const tools = [{ functionDeclarations }];
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

type Contents = GenerateContentParameters['contents'];
type Config = GenerateContentParameters['config'];

/** What a stream adds up to, as its reader sees it. */
interface Told {
  text: string;
  thoughts: string;
  calls: object[];
  signatures: string[];
}

function told(parts: readonly Part[]): Told {
  return {
    text: parts.map(({ text = '', thought }) => (thought ? '' : text)).join(''),
    thoughts: parts.map(({ text = '', thought }) => (thought ? text : '')).join(''),
    calls: parts.flatMap(({ functionCall }) => functionCall ?? []),
    signatures: parts.flatMap(({ thoughtSignature }) => thoughtSignature ?? []),
  };
}

/** The answer to one request, asked for plainly and as a stream, which must say the same. */
async function ask(contents: Contents, config: Config = {}, model = 'sandbox-small'): Promise<GenerateContentResponse> {
  const client = geminiSdk(sandbox.current);
  const plain = await client.models.generateContent({ model, contents, config });
  const chunks: GenerateContentResponse[] = [];
  for await (const chunk of await client.models.generateContentStream({ model, contents, config })) chunks.push(chunk);
  const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
  expect(told(parts)).toEqual(toldBy(plain));
  const last = chunks.at(-1);
  expect(last?.usageMetadata).toEqual(plain.usageMetadata);
  expect(last?.candidates?.[0]?.finishReason).toBe(plain.candidates?.[0]?.finishReason);
  for (const chunk of chunks) expect(chunk).toMatchObject({ responseId: plain.responseId, modelVersion: model });
  return plain;
}

function toldBy(response: GenerateContentResponse): Told {
  return told(response.candidates?.[0]?.content?.parts ?? []);
}

function finishReason(response: GenerateContentResponse) {
  return response.candidates?.[0]?.finishReason;
}

describe('an answer', () => {
  it('quotes the user, says that it is made up, and counts the tokens of its own text', async () => {
    const response = await ask('Tell me about “Zürich” 🚂', { systemInstruction: 'Be brief.' });
    expect(response.text).toContain('Signalbox sandbox');
    expect(response.text).toContain('“Zürich” 🚂');
    expect(finishReason(response)).toBe('STOP');
    const output = countTokens(response.text ?? '');
    const { promptTokenCount = 0 } = response.usageMetadata ?? {};
    expect(response.usageMetadata).toMatchObject({
      candidatesTokenCount: output,
      totalTokenCount: promptTokenCount + output,
    });
  });

  it('counts the system instruction and images', async () => {
    const count = async (contents: Contents, config?: Config) =>
      (await ask(contents, config)).usageMetadata?.promptTokenCount ?? 0;
    const short = await count('one two');
    expect(await count('one two', { systemInstruction: 'three four' })).toBeGreaterThan(short);
    const image = { inlineData: { mimeType: 'image/png', data: PIXEL } };
    expect(await count([{ text: 'one two' }, image])).toBeGreaterThan(short);
  });

  it('ends at maxOutputTokens and before a stop sequence', async () => {
    const cut = await ask('Good morning', { maxOutputTokens: 5 });
    expect(finishReason(cut)).toBe('MAX_TOKENS');
    expect(cut.usageMetadata?.candidatesTokenCount).toBe(5);
    const whole = (await ask('Good morning')).text ?? '';
    const stopped = await ask('Good morning', { stopSequences: ['never said', 'box sand'] });
    expect(finishReason(stopped)).toBe('STOP');
    expect(stopped.text).toBe(whole.slice(0, whole.indexOf('box sand')));
  });

  it('has as many candidates as asked for, streamed in turns', async () => {
    const body = { generationConfig: { candidateCount: 3 } };
    const { candidates } = await (await postContents(sandbox.current, body)).json();
    const { data } = await readEvents(await postContents(sandbox.current, { ...body, stream: true }));
    const chunks = data.flatMap((one) => JSON.parse(one).candidates);
    for (const index of [0, 1, 2]) {
      const own = chunks.filter((chunk) => chunk.index === index);
      const text = own.flatMap(({ content }) => content.parts.map((part: Part) => part.text)).join('');
      expect(text).toBe(candidates[index].content.parts[0].text);
      expect(own.filter((chunk) => chunk.finishReason === 'STOP')).toHaveLength(1);
    }
  });

  it('says something else for another seed and another model', async () => {
    const ids = [];
    for (const seed of [1, 2]) ids.push((await ask('Hi', { seed })).responseId);
    ids.push((await ask('Hi', { seed: 1 }, 'sandbox-large')).responseId);
    expect(new Set(ids).size).toBe(3);
  });

  it('reports cached tokens as a part of the prompt', async () => {
    const { usageMetadata } = await (await postContents(sandbox.current, { sandbox: { cachedTokens: 3 } })).json();
    const plain = (await (await postContents(sandbox.current)).json()).usageMetadata;
    expect(plain).not.toHaveProperty('cachedContentTokenCount');
    expect(usageMetadata).toMatchObject({ promptTokenCount: plain.promptTokenCount, cachedContentTokenCount: 3 });
  });
});

describe('JSON answers', () => {
  const responseMimeType = 'application/json';

  it('are an object, or what a JSON schema or one of Google asks for', async () => {
    expect(JSON.parse((await ask('Hi', { responseMimeType })).text ?? '')).toMatchObject({ sandbox: true });
    const byJson = await ask('Hi', { responseMimeType, responseJsonSchema: z.toJSONSchema(Weather) });
    expect(Weather.parse(JSON.parse(byJson.text ?? ''))).toBeTruthy();
    const responseSchema = {
      type: 'OBJECT',
      properties: {
        tags: { type: 'ARRAY', minItems: '2', items: { type: 'STRING' } },
        size: { type: 'NUMBER', minimum: 5 },
      },
      required: ['tags', 'size'],
    };
    const response = await postContents(sandbox.current, { generationConfig: { responseMimeType, responseSchema } });
    const said = JSON.parse((await response.json()).candidates[0].content.parts[0].text);
    expect(z.strictObject({ tags: z.array(z.string()).min(2), size: z.number().min(5) }).parse(said)).toBeTruthy();
  });
});

describe('functions', () => {
  it('are called when the user mentions them, in parallel, with the finish reason STOP and without ids', async () => {
    const response = await ask('get_weather, then get_time', { tools });
    expect(finishReason(response)).toBe('STOP');
    const [weather, time] = response.functionCalls ?? [];
    expect(weather).toEqual({ name: 'get_weather', args: expect.anything() });
    expect(Weather.parse(weather?.args)).toBeTruthy();
    expect(time).toEqual({ name: 'get_time', args: {} });
  });

  it('may have parameters in the words of Google', async () => {
    const parameters = { type: 'OBJECT', properties: { n: { type: 'INTEGER', minimum: 4 } }, required: ['n'] };
    const declared = [{ functionDeclarations: [{ name: 'get_size', parameters }] }];
    const asked = { contents: [{ parts: [{ text: 'get_size' }] }], tools: declared };
    const { candidates } = await (await postContents(sandbox.current, asked)).json();
    expect(candidates[0].content.parts[0].functionCall.args.n).toBeGreaterThanOrEqual(4);
  });

  it('obey the functionCallingConfig', async () => {
    const called = async (functionCallingConfig: object, text = 'get_weather, then get_time') =>
      (await ask(text, { tools, toolConfig: { functionCallingConfig } })).functionCalls?.map(({ name }) => name) ?? [];
    expect(await called({ mode: 'AUTO' }, 'Hello')).toEqual([]);
    expect(await called({ mode: 'ANY' }, 'Hello')).toEqual(['get_weather']);
    expect(await called({ mode: 'NONE' })).toEqual([]);
    expect(await called({ mode: 'ANY', allowedFunctionNames: ['get_time'] })).toEqual(['get_time']);
    expect(await called({ mode: 'VALIDATED', allowedFunctionNames: ['get_time'] })).toEqual(['get_time']);
  });

  it('have their responses quoted', async () => {
    const model = { role: 'model', parts: [{ functionCall: { name: 'get_weather', args: {} } }] };
    const respond = (response: Record<string, unknown>) => ({
      role: 'user',
      parts: [{ functionResponse: { name: 'get_weather', response } }],
    });
    const asked = { role: 'user', parts: [{ text: 'get_weather' }] };
    expect((await ask([asked, model, respond({ output: 'sunny' })], { tools })).text).toContain('answered: "sunny"');
    expect((await ask([asked, model, respond({ degrees: 21 })], { tools })).text).toContain('{"degrees":21}');
  });

  it('need a response for each call, of the same name', async () => {
    const call = { role: 'model', parts: [{ functionCall: { name: 'get_time' } }] };
    const response = (name: string) => ({ role: 'user', parts: [{ functionResponse: { name, response: {} } }] });
    const user = { role: 'user', parts: [{ text: 'get_time' }] };
    const statusOf = async (contents: object[]) => (await postContents(sandbox.current, { contents })).status;
    expect(await statusOf([user, call, response('get_time')])).toBe(200);
    expect(await statusOf([user, call, user])).toBe(400);
    expect(await statusOf([user, call, response('get_weather')])).toBe(400);
    expect(await statusOf([user, response('get_time')])).toBe(400);
  });

  it('that do not fit into maxOutputTokens are not called', async () => {
    const response = await ask('get_weather', { tools, maxOutputTokens: 2 });
    expect(finishReason(response)).toBe('MAX_TOKENS');
    expect(response.functionCalls).toBeUndefined();
  });
});

describe('thoughts', () => {
  const model = 'sandbox-reasoning';
  const thoughtsOf = (response: GenerateContentResponse) => response.usageMetadata?.thoughtsTokenCount ?? 0;

  it('are counted beside the candidates, and shown when that is asked for', async () => {
    const hidden = await ask('Hello', {}, model);
    expect(toldBy(hidden)).toMatchObject({
      thoughts: '',
      text: expect.stringContaining('sandbox'),
      signatures: [expect.any(String)],
    });
    const shown = await ask('Hello', { thinkingConfig: { includeThoughts: true } }, model);
    const { thoughts, text } = toldBy(shown);
    expect(thoughtsOf(hidden)).toBe(32);
    expect(shown.usageMetadata).toMatchObject({
      thoughtsTokenCount: countTokens(thoughts),
      candidatesTokenCount: countTokens(text),
    });
  });

  it('are as long as the budget or the level says', async () => {
    const length = async (thinkingConfig: object) => {
      const response = await postContents(sandbox.current, { model, generationConfig: { thinkingConfig } });
      return (await response.json()).usageMetadata.thoughtsTokenCount ?? 0;
    };
    const levels = ['MINIMAL', 'LOW', 'MEDIUM', 'HIGH'].map((thinkingLevel) => length({ thinkingLevel }));
    expect(await Promise.all(levels)).toEqual([8, 16, 32, 64]);
    const budgets = [0, 512, 8192, 24_576, -1].map((thinkingBudget) => length({ thinkingBudget }));
    expect(await Promise.all(budgets)).toEqual([0, 16, 32, 64, 32]);
  });

  it('sign the first call, and the signature must come back as it was given', async () => {
    const response = await ask('get_weather, then get_time', { tools }, model);
    const parts = response.candidates?.[0]?.content?.parts ?? [];
    expect(parts.map(({ thoughtSignature }) => thoughtSignature !== undefined)).toEqual([true, false]);
    const responses = parts.map(({ functionCall }) => ({
      functionResponse: { name: functionCall?.name, response: {} },
    }));
    const next = (thoughtSignature: string | undefined) =>
      postContents(sandbox.current, {
        model,
        contents: [
          { role: 'user', parts: [{ text: 'get_weather, then get_time' }] },
          { role: 'model', parts: [{ ...parts[0], thoughtSignature }, parts[1]] },
          { role: 'user', parts: responses },
        ],
      });
    expect((await next(parts[0]?.thoughtSignature)).status).toBe(200);
    expect((await next('skip_thought_signature_validator')).status).toBe(200);
    expect((await next('c29tZW9uZSBlbHNl')).status).toBe(400);
  });
});

describe('a wrong request', () => {
  const user = { role: 'user', parts: [{ text: 'hi' }] };
  const wrong: [string, Record<string, unknown>, string][] = [
    ['no contents', { contents: [] }, 'contents'],
    ['the role system', { contents: [{ ...user, role: 'system' }] }, 'contents[0].role'],
    ['a part that says nothing', { contents: [{ parts: [{ thought: true }] }] }, 'contents[0].parts[0]'],
    [
      'a part that says two things',
      { contents: [{ parts: [{ text: 'a', functionCall: { name: 'b' } }] }] },
      'contents[0].parts[0]',
    ],
    [
      'data that is not Base64',
      { contents: [{ parts: [{ inlineData: { mimeType: 'image/png', data: '?' } }] }] },
      'contents[0]',
    ],
    ['six stop sequences', { generationConfig: { stopSequences: [...'abcdef'] } }, 'generationConfig.stopSequences'],
    ['a temperature over 2', { generationConfig: { temperature: 2.1 } }, 'generationConfig.temperature'],
    ['maxOutputTokens of zero', { generationConfig: { maxOutputTokens: 0 } }, 'generationConfig.maxOutputTokens'],
    ['a schema for text', { generationConfig: { responseJsonSchema: {} } }, 'generationConfig'],
    [
      'a level and a budget',
      { generationConfig: { thinkingConfig: { thinkingLevel: 'LOW', thinkingBudget: 5 } } },
      'generationConfig.thinkingConfig',
    ],
    [
      'a JSON schema where Google wants its own',
      {
        tools: [{ functionDeclarations: [{ name: 'a', parameters: { type: 'object', additionalProperties: false } }] }],
      },
      'tools[0].functionDeclarations[0].parameters',
    ],
    [
      'ANY without functions',
      { toolConfig: { functionCallingConfig: { mode: 'ANY' } } },
      'toolConfig.functionCallingConfig.mode',
    ],
    [
      'an allowed function that is none',
      { tools, toolConfig: { functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['x'] } } },
      'toolConfig.functionCallingConfig.allowedFunctionNames',
    ],
    ['an unknown control', { sandbox: { latency: 1 } }, 'sandbox'],
  ];

  it.each(wrong)('with %s is refused in the words of Google', async (_, members, field) => {
    const response = await postContents(sandbox.current, members);
    expect(response.status).toBe(400);
    const { error } = await response.json();
    expect(error).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT', message: expect.stringContaining(field) });
    expect(error.details[0]).toMatchObject({
      '@type': 'type.googleapis.com/google.rpc.BadRequest',
      fieldViolations: [{ field: expect.stringContaining(field) }],
    });
  });

  it('is thrown by the SDK as what it is', async () => {
    const models = geminiSdk(sandbox.current).models;
    const asked = models.generateContent({ model: 'gemini-9', contents: 'hi' });
    await expect(asked).rejects.toThrow(ApiError);
    await expect(asked).rejects.toMatchObject({ status: 404 });
    const embedding = models.generateContent({ model: 'sandbox-embedding', contents: 'hi' });
    await expect(embedding).rejects.toMatchObject({ status: 404, message: expect.stringContaining('embeddings') });
  });

  it('to an unknown method or without alt=sse is refused', async () => {
    const { urls } = sandbox.current;
    const small = `${urls.GEMINI}/models/sandbox-small`;
    for (const [url, status] of [
      [`${small}:translate`, 404],
      [`${urls.GEMINI}/files`, 404],
      [`${small}:streamGenerateContent`, 400],
    ] as const) {
      const response = await fetch(url, { method: 'POST', body: '{}' });
      expect(response.status).toBe(status);
      expect((await response.json()).error.code).toBe(status);
    }
    expect((await fetch(`${small}:generateContent`)).status).toBe(405);
  });
});

it('never gets a 5xx, whatever the members hold', async () => {
  const names = ['contents', 'systemInstruction', 'tools', 'toolConfig', 'generationConfig', 'sandbox', 'extra'];
  const config = fc.dictionary(
    fc.constantFrom('candidateCount', 'stopSequences', 'responseSchema', 'responseMimeType', 'thinkingConfig', 'seed'),
    fc.jsonValue({ maxDepth: 3 }),
  );
  const schema = fc.dictionary(fc.constantFrom('type', 'items', 'properties', 'anyOf', 'minItems'), fc.jsonValue());
  const tool = fc.record({ functionDeclarations: fc.array(fc.record({ name: fc.constant('a'), parameters: schema })) });
  const value = fc.oneof(fc.jsonValue({ maxDepth: 3 }), config, fc.array(tool));
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 4 }), async (members) => {
      const response = await postContents(sandbox.current, members);
      await response.arrayBuffer();
      expect(response.status).toBeLessThan(500);
    }),
    { numRuns: 300 },
  );
});

it('lists its models a page at a time, with their limits and methods, and describes one', async () => {
  const { models } = geminiSdk(sandbox.current);
  const names: (string | undefined)[] = [];
  for await (const model of await models.list({ config: { pageSize: 5 } })) names.push(model.name);
  const { models: all } = await (await fetch(`${sandbox.current.urls.GEMINI}/models`)).json();
  expect(names).toEqual(all.map(({ name }: { name: string }) => name));
  expect(all[0]).toMatchObject({
    name: 'models/sandbox-small',
    displayName: 'Sandbox small',
    inputTokenLimit: 128_000,
    outputTokenLimit: 16_384,
    supportedGenerationMethods: ['generateContent'],
  });
  expect(all.at(-1)).toMatchObject({ name: 'models/sandbox-embedding', supportedGenerationMethods: ['embedContent'] });
  expect((await models.get({ model: 'sandbox-large' })).inputTokenLimit).toBe(1_000_000);
  await expect(models.get({ model: 'gemini-9' })).rejects.toMatchObject({ status: 404 });
  expect((await fetch(`${sandbox.current.urls.GEMINI}/models?pageToken=x`)).status).toBe(400);
});
