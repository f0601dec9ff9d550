import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { createParser } from 'eventsource-parser';
import OpenAI from 'openai';
import { afterAll, beforeAll } from 'vitest';
import { type Sandbox, startSandbox } from '../../../../src/gateway/upstream/sandbox/sandbox.ts';

/** Starts one sandbox for the file that calls it. Its members may be used inside tests only. */
export function useSandbox(): { current: Sandbox } {
  const holder = {} as { current: Sandbox };
  beforeAll(async () => {
    holder.current = await startSandbox({ port: 0 });
  });
  afterAll(() => holder.current.close());
  return holder;
}

/** Posts a chat completion request; what is not given is a small model and a greeting. */
export function post(sandbox: Sandbox, body: object = {}, init: RequestInit = {}): Promise<Response> {
  return fetch(`${sandbox.url}/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'sandbox-small', messages: [{ role: 'user', content: 'Good morning' }], ...body }),
    ...init,
  });
}

/** The `data` of every event, read until the body ends or breaks off. */
export async function readEvents(response: Response): Promise<{ data: string[]; brokeOff: boolean }> {
  const data: string[] = [];
  const parser = createParser({ onEvent: (event) => data.push(event.data) });
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
    return { data, brokeOff: false };
  } catch {
    return { data, brokeOff: true };
  }
}

/** The text that the events of one choice add up to; what is not JSON is passed over. */
export function textIn(data: readonly string[], choice = 0): string {
  return data.map((one) => deltaIn(one, choice)).join('');
}

function deltaIn(data: string, choice: number): string {
  try {
    const chunk: OpenAI.ChatCompletionChunk = JSON.parse(data);
    return chunk.choices?.find((one) => one.index === choice)?.delta.content ?? '';
  } catch {
    return '';
  }
}

/** The official SDK, which neither retries nor hides errors. */
export function sdk(sandbox: Sandbox): OpenAI {
  return new OpenAI({ baseURL: sandbox.url, apiKey: 'any', maxRetries: 0 });
}

/** Waits until `condition` holds and says how many milliseconds that took; gives up after 5 s. */
export async function msUntil(condition: () => boolean): Promise<number> {
  const startedAt = performance.now();
  while (!condition()) {
    if (performance.now() - startedAt > 5000) throw new Error('waited 5 s in vain');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return performance.now() - startedAt;
}

/** The official SDK of Anthropic, which neither retries nor hides errors. */
export function anthropicSdk(sandbox: Sandbox, apiKey = 'any'): Anthropic {
  return new Anthropic({ baseURL: new URL(sandbox.urls.ANTHROPIC).origin, apiKey, maxRetries: 0 });
}

/** The official SDK of Google, which does not retry. */
export function geminiSdk(sandbox: Sandbox, apiKey = 'any'): GoogleGenAI {
  return new GoogleGenAI({ apiKey, httpOptions: { baseUrl: new URL(sandbox.urls.GEMINI).origin } });
}

/** Posts a Messages request; what is not given is a small model, a greeting and a generous limit. */
export function postMessages(sandbox: Sandbox, body: object = {}, init: RequestInit = {}): Promise<Response> {
  const messages = [{ role: 'user', content: 'Good morning' }];
  return fetch(`${sandbox.urls.ANTHROPIC}/messages`, {
    method: 'POST',
    body: JSON.stringify({ model: 'sandbox-small', max_tokens: 4096, messages, ...body }),
    ...init,
    headers: { 'anthropic-version': '2023-06-01', ...init.headers },
  });
}

/** Posts a generateContent request, a streamed one where `stream` is set; what is not given is as for the others. */
export function postContents(
  sandbox: Sandbox,
  {
    model = 'sandbox-small',
    stream = false,
    ...body
  }: { model?: string; stream?: boolean } & Record<string, unknown> = {},
  init: RequestInit = {},
): Promise<Response> {
  const method = stream ? 'streamGenerateContent?alt=sse' : 'generateContent';
  return fetch(`${sandbox.urls.GEMINI}/models/${model}:${method}`, {
    method: 'POST',
    body: JSON.stringify({ contents: [{ role: 'user', parts: [{ text: 'Good morning' }] }], ...body }),
    ...init,
  });
}

export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
