import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Fault } from '../../../../src/gateway/upstream/sandbox/faults.ts';
import { countTokens } from '../../../../src/gateway/upstream/sandbox/tokens.ts';
import { geminiSdk, isJson, msUntil, sdk, useSandbox } from './kit.ts';

const sandbox = useSandbox();
const model = 'sandbox-embedding';

function post(body: object, init: RequestInit = {}): Promise<Response> {
  const url = `${sandbox.current.url}/embeddings`;
  return fetch(url, { method: 'POST', body: JSON.stringify({ model, input: 'hello', ...body }), ...init });
}

function postToGemini(method: string, body: object, name = model): Promise<Response> {
  const url = `${sandbox.current.urls.GEMINI}/models/${name}:${method}`;
  return fetch(url, { method: 'POST', body: JSON.stringify(body) });
}

async function vectorsOf(input: string | string[], extra: object = {}): Promise<number[][]> {
  const { data } = await sdk(sandbox.current).embeddings.create({ model, input, ...extra });
  return data.map(({ embedding }) => embedding);
}

describe('a vector', () => {
  it('has 256 dimensions or as many as asked for, and always the length 1', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ minLength: 1 }), fc.integer({ min: 1, max: 3072 }), async (input, dimensions) => {
        const [usual = [], asked = []] = [...(await vectorsOf(input)), ...(await vectorsOf(input, { dimensions }))];
        expect([usual.length, asked.length]).toEqual([256, dimensions]);
        for (const vector of [usual, asked]) expect(Math.abs(Math.hypot(...vector) - 1)).toBeLessThan(1e-6);
      }),
      { numRuns: 30 },
    );
  });

  it('is the same for the same text whatever the batch, the encoding and the dialect, and another for another', async () => {
    const [alone] = await vectorsOf('Zürich 🚂');
    const batch = await vectorsOf(['Bern', 'Zürich 🚂', 'Zürich']);
    expect(batch[1]).toEqual(alone);
    expect(new Set(batch.map((vector) => vector.join())).size).toBe(3);
    expect((await vectorsOf('Zürich 🚂', { encoding_format: 'float' }))[0]).toEqual(alone);

    const { embeddings } = await geminiSdk(sandbox.current).models.embedContent({
      model,
      contents: ['Bern', 'Zürich 🚂'],
    });
    expect(embeddings?.[1]?.values).toEqual(alone);
    const single = await postToGemini('embedContent', { content: { parts: [{ text: 'Zürich 🚂' }] } });
    expect((await single.json()).embedding.values).toEqual(alone);
  });

  it('comes as 32-bit numbers in Base64 when asked for', async () => {
    const { data } = await (await post({ encoding_format: 'base64', dimensions: 2 })).json();
    const bytes = Buffer.from(data[0].embedding, 'base64');
    expect([bytes.readFloatLE(0), bytes.readFloatLE(4)]).toEqual((await vectorsOf('hello', { dimensions: 2 }))[0]);
  });
});

it('counts the tokens of texts, and tokens as they are', async () => {
  const usageOf = async (input: unknown) => (await (await post({ input })).json()).usage;
  const text = 'one two three';
  expect(await usageOf(text)).toEqual({ prompt_tokens: countTokens(text), total_tokens: countTokens(text) });
  expect(await usageOf([text, text])).toMatchObject({ prompt_tokens: 2 * countTokens(text) });
  expect(await usageOf([1, 2, 3, 4])).toMatchObject({ prompt_tokens: 4 });
  expect(await usageOf([[1, 2], [3]])).toMatchObject({ prompt_tokens: 3 });
  const requests = [text, 'four'].map((one) => ({ model: `models/${model}`, content: { parts: [{ text: one }] } }));
  const { usageMetadata } = await (await postToGemini('batchEmbedContents', { requests })).json();
  expect(usageMetadata).toEqual({ promptTokenCount: countTokens(text) + 1 });
});

it('takes as many dimensions as asked for with Gemini, too', async () => {
  const config = { outputDimensionality: 5 };
  const { embeddings } = await geminiSdk(sandbox.current).models.embedContent({ model, contents: 'hello', config });
  expect(embeddings?.[0]?.values).toEqual((await vectorsOf('hello', { dimensions: 5 }))[0]);
});

it('is listed; its model does not chat, and models that chat make no embeddings', async () => {
  const ids = (await sdk(sandbox.current).models.list()).data.map(({ id }) => id);
  expect(ids).toContain(model);
  const chat = sdk(sandbox.current).chat.completions.create({ model, messages: [{ role: 'user', content: 'hi' }] });
  await expect(chat).rejects.toMatchObject({ status: 404, message: expect.stringContaining('embeddings') });
  expect((await post({ model: 'sandbox-small' })).status).toBe(404);
  const content = { parts: [{ text: 'hi' }] };
  expect((await postToGemini('embedContent', { content }, 'sandbox-small')).status).toBe(404);
});

describe('a wrong request', () => {
  it.each([
    ['no input', { input: undefined }, 'input'],
    ['an empty text', { input: '' }, 'input'],
    ['an empty list', { input: [] }, 'input'],
    ['a list with an empty text', { input: ['a', ''] }, 'input[1]'],
    ['no dimensions', { dimensions: 0 }, 'dimensions'],
    ['too many dimensions', { dimensions: 3073 }, 'dimensions'],
    ['an unknown encoding', { encoding_format: 'hex' }, 'encoding_format'],
    ['an unknown control', { sandbox: { latency: 1 } }, 'sandbox'],
  ])('with %s is refused with its name', async (_, members, param) => {
    const response = await post(members);
    expect(response.status).toBe(400);
    expect((await response.json()).error).toMatchObject({ type: 'invalid_request_error', param });
  });

  it('for an answer of gigabytes is refused', async () => {
    const response = await post({ input: Array.from({ length: 2048 }, String), dimensions: 3072 });
    expect(response.status).toBe(400);
    expect((await response.json()).error.message).toContain('1048576');
    expect((await post({ input: Array.from({ length: 2048 }, String) })).status).toBe(200);
  });

  it('of Gemini is refused in its words', async () => {
    const content = { parts: [{ text: 'hi' }] };
    const wrong: [string, object][] = [
      ['embedContent', {}],
      ['batchEmbedContents', { requests: [] }],
      ['batchEmbedContents', { requests: [{ model: 'models/other', content }] }],
      ['batchEmbedContents', { requests: [{ content }, { content, outputDimensionality: 3 }] }],
    ];
    for (const [method, body] of wrong) {
      const { error } = await (await postToGemini(method, body)).json();
      expect(error).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT' });
    }
  });
});

describe('faults', () => {
  const play = (fault: Fault, signal?: AbortSignal) => post({ sandbox: { fault } }, signal ? { signal } : {});

  it('come as statuses, errors with status 200 and prompts that are too long', async () => {
    const limited = await post({}, { headers: { 'x-sandbox': 'status=429;retryAfter=4' } });
    expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, '4']);
    expect((await (await play('context-length')).json()).error.code).toBe('context_length_exceeded');
    for (const fault of ['error-body', 'error-event', 'mid-error'] as const) {
      const response = await play(fault);
      expect(response.status).toBe(200);
      expect((await response.json()).error.type).toBe('server_error');
    }
    const gemini = await postToGemini('embedContent', {
      content: { parts: [{ text: 'hi' }] },
      sandbox: { status: 503 },
    });
    expect((await gemini.json()).error).toMatchObject({ code: 503, status: 'UNAVAILABLE' });
  });

  it('break connections and bodies', async () => {
    await expect(play('reset')).rejects.toThrow();
    await expect(play('silent', AbortSignal.timeout(100))).rejects.toThrow('timeout');
    for (const fault of ['end', 'malformed'] as const) expect(isJson(await (await play(fault)).text())).toBe(false);
    await expect((await play('cut')).text()).rejects.toThrow();
    await expect((await play('stall', AbortSignal.timeout(200))).text()).rejects.toThrow();
  });
});

it('is on the record with its dialect, and counted', async () => {
  const before = sandbox.current.stats().completed;
  await (await post({})).text();
  await (await postToGemini('embedContent', { content: { parts: [{ text: 'hi' }] } })).text();
  await msUntil(() => sandbox.current.stats().completed === before + 2);
  const [second, first] = sandbox.current.requests();
  expect(first).toMatchObject({ dialect: 'OPENAI', id: null, model, outcome: 'completed' });
  expect(second).toMatchObject({ dialect: 'GEMINI', id: null, model, outcome: 'completed' });
});
