import { createHash } from 'node:crypto';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { anthropicSdk, geminiSdk, post, postContents, postMessages, useSandbox } from './kit.ts';

const sandbox = useSandbox();
const REJECTED = ['rejected', 'sk-rejected-1', 'AIza_REJECTED_2', 'sk.rejected'];
const TAKEN = ['sk-1', 'unrejected', 'sk-rejected2', 'unlimited', 'limitedly'];

function statusOf(key: string): Promise<number> {
  return post(sandbox.current, {}, { headers: { authorization: `Bearer ${key}` } }).then(({ status }) => status);
}

describe('a key', () => {
  it('is rejected or limited by a whole word in it, and taken otherwise, as none is', async () => {
    for (const key of REJECTED) expect(await statusOf(key)).toBe(401);
    for (const key of ['limited', 'sk-limited-1']) expect(await statusOf(key)).toBe(429);
    for (const key of TAKEN) expect(await statusOf(key)).toBe(200);
    expect((await post(sandbox.current)).status).toBe(200);
  });

  it('is found wherever one can be sent, also when the same request was answered before', async () => {
    const ways: HeadersInit[] = [
      { authorization: 'Bearer sk-rejected-1' },
      { 'x-api-key': 'sk-rejected-1' },
      { 'x-goog-api-key': 'sk-rejected-1' },
    ];
    for (const headers of ways) {
      expect((await post(sandbox.current, {}, { headers })).status).toBe(401);
      expect((await post(sandbox.current)).status).toBe(200);
    }
    const url = `${sandbox.current.urls.GEMINI}/models/sandbox-small:generateContent?key=sk-rejected-1`;
    expect((await fetch(url, { method: 'POST', body: '{}' })).status).toBe(400);
  });
});

describe('a rejected key', () => {
  it('is an authentication error with OpenAI and Anthropic', async () => {
    const openai = new OpenAI({ baseURL: sandbox.current.urls.OPENAI, apiKey: 'sk-rejected-1', maxRetries: 0 });
    await expect(openai.models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
    const anthropic = anthropicSdk(sandbox.current, 'sk-rejected-1');
    await expect(anthropic.models.list()).rejects.toThrow(Anthropic.AuthenticationError);
    const response = await postMessages(sandbox.current, {}, { headers: { 'x-api-key': 'rejected' } });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({
      type: 'error',
      error: { type: 'authentication_error', message: 'invalid x-api-key' },
    });
  });

  it('is an invalid argument with Gemini', async () => {
    const { models } = geminiSdk(sandbox.current, 'rejected');
    await expect(models.list()).rejects.toMatchObject({ status: 400 });
    const response = await postContents(sandbox.current, {}, { headers: { 'x-goog-api-key': 'rejected' } });
    expect(response.status).toBe(400);
    const { error } = await response.json();
    expect(error).toMatchObject({ code: 400, status: 'INVALID_ARGUMENT' });
    expect(error.details[0]).toMatchObject({
      '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
      reason: 'API_KEY_INVALID',
    });
  });
});

describe('a limited key', () => {
  it('is told in a header how long to wait by OpenAI and Anthropic, for lists and embeddings too', async () => {
    const { urls } = sandbox.current;
    const headers = { authorization: 'Bearer limited' };
    const answers = await Promise.all([
      post(sandbox.current, {}, { headers }),
      postMessages(sandbox.current, { stream: true }, { headers }),
      fetch(`${urls.OPENAI}/models`, { headers }),
      fetch(`${urls.ANTHROPIC}/models`, { headers: { ...headers, 'anthropic-version': '2023-06-01' } }),
      fetch(`${urls.OPENAI}/embeddings`, { method: 'POST', headers, body: '{}' }),
    ]);
    for (const answer of answers) {
      expect(answer.status).toBe(429);
      expect(answer.headers.get('retry-after')).toBe('20');
      expect((await answer.json()).error.type).toBe('rate_limit_error');
    }
  });

  it('is told in the body how long to wait by Gemini', async () => {
    const response = await postContents(
      sandbox.current,
      { stream: true },
      { headers: { 'x-goog-api-key': 'limited' } },
    );
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBeNull();
    const { error } = await response.json();
    expect(error).toMatchObject({ status: 'RESOURCE_EXHAUSTED' });
    expect(error.details).toEqual([{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '20s' }]);
  });
});

describe('the record', () => {
  it('has a hint of the key and never the key, and the dialect', async () => {
    const keys = ['sk-openai-1', 'sk-ant-2', 'AIza-3', 'sk-rejected-4'];
    const [openai = '', anthropic = '', gemini = '', rejected = ''] = keys;
    await (await post(sandbox.current, {}, { headers: { authorization: `bearer ${openai}` } })).text();
    await (await postMessages(sandbox.current, {}, { headers: { 'x-api-key': anthropic } })).text();
    await (await postContents(sandbox.current, {}, { headers: { 'x-goog-api-key': gemini } })).text();
    await (await post(sandbox.current, {}, { headers: { authorization: `Bearer ${rejected}` } })).text();
    await (await post(sandbox.current)).text();
    const requests = sandbox.current.requests().slice(0, 5).reverse();
    const hints = keys.map((key) => createHash('sha256').update(key).digest('hex').slice(0, 8));
    expect(requests.map(({ keyHint }) => keyHint)).toEqual([...hints, null]);
    expect(requests.map(({ dialect }) => dialect)).toEqual(['OPENAI', 'ANTHROPIC', 'GEMINI', 'OPENAI', 'OPENAI']);
    expect(requests.map(({ id }) => id?.slice(0, 4))).toEqual(['chat', 'msg_', 'sand', undefined, 'chat']);
    const records = await (await fetch(`${sandbox.current.url}/sandbox/requests`)).text();
    for (const key of keys) expect(records).not.toContain(key);
  });

  it('is open to every key, and leaves lists out', async () => {
    const before = sandbox.current.stats().requests;
    const headers = { authorization: 'Bearer rejected' };
    expect((await fetch(`${sandbox.current.url}/models`, { headers })).status).toBe(401);
    const stats = await fetch(`${sandbox.current.url}/sandbox/stats`, { headers });
    expect((await stats.json()).requests).toBe(before);
  });
});
