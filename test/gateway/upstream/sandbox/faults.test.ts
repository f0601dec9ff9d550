import { describe, expect, it } from 'vitest';
import type { Fault } from '../../../../src/gateway/upstream/sandbox/faults.ts';
import { isJson, msUntil, post, readEvents, sdk, textIn, useSandbox } from './kit.ts';

const sandbox = useSandbox();
const OUTPUT_TOKENS = 30;

function ask(fault: Fault, extra: object = {}, controls: object = {}, signal?: AbortSignal): Promise<Response> {
  const body = { sandbox: { fault, outputTokens: OUTPUT_TOKENS, ...controls }, ...extra };
  return post(sandbox.current, body, signal ? { signal } : {});
}

/** The outcome that the sandbox has on record for its latest request, once that is over. */
async function outcome(): Promise<string> {
  await msUntil(() => sandbox.current.stats().active === 0);
  return sandbox.current.requests()[0]?.outcome ?? 'none';
}

async function wholeText(): Promise<string> {
  return (await (await post(sandbox.current, { sandbox: { outputTokens: OUTPUT_TOKENS } })).json()).choices[0].message
    .content;
}

function tokensIn(data: readonly string[]): number {
  return data.filter((one) => textIn([one]) !== '').length;
}

const usesStream = [
  ['streamed', true],
  ['plain', false],
] as const;

describe.each(usesStream)('before a %s answer', (_, stream) => {
  it('status: gives that status with an OpenAI error and the seconds to wait', async () => {
    const response = await ask('status', { stream }, { status: 429, retryAfter: 7 });
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('7');
    expect((await response.json()).error).toMatchObject({ code: 'rate_limit_exceeded', param: null });
    expect(await outcome()).toBe('faulted');
    expect((await ask('status', { stream })).status).toBe(500);
    expect((await post(sandbox.current, { stream, sandbox: { status: 401 } })).status).toBe(401);
  });

  it('reset: breaks the connection before any header', async () => {
    const error = await ask('reset', { stream }).catch((reason) => reason);
    expect(error.cause?.code).toBe('ECONNRESET');
    expect(await outcome()).toBe('faulted');
  });

  it('silent: takes the request and never answers', async () => {
    await expect(ask('silent', { stream }, {}, AbortSignal.timeout(150))).rejects.toThrow('timeout');
    expect(await outcome()).toBe('aborted');
  });

  it('error-body: gives status 200 with an error', async () => {
    const response = await ask('error-body', { stream });
    expect(response.status).toBe(200);
    expect((await response.json()).error.type).toBe('server_error');
  });

  it('context-length: refuses the prompt as too long', async () => {
    const response = await ask('context-length', { stream });
    expect(response.status).toBe(400);
    expect((await response.json()).error).toMatchObject({ code: 'context_length_exceeded', param: 'messages' });
  });
});

describe('in a stream', () => {
  it('stall: sends two thirds, then nothing, and keeps the connection', async () => {
    const { data, brokeOff } = await readEvents(await ask('stall', { stream: true }, {}, AbortSignal.timeout(600)));
    expect(brokeOff).toBe(true);
    expect(tokensIn(data)).toBe(20);
    expect(await outcome()).toBe('aborted');
  });

  it('cut: closes the connection in the middle, after all that came before has arrived', async () => {
    for (const faultAfter of [0, 1, 13, OUTPUT_TOKENS, 1000]) {
      const { data, brokeOff } = await readEvents(await ask('cut', { stream: true }, { faultAfter }));
      expect(brokeOff).toBe(true);
      expect(tokensIn(data)).toBe(Math.min(faultAfter, OUTPUT_TOKENS));
      expect(data.join()).not.toContain('"finish_reason":"');
      expect(await outcome()).toBe('faulted');
    }
  });

  it('end: ends cleanly in the middle without a finish reason and [DONE]', async () => {
    const { data, brokeOff } = await readEvents(await ask('end', { stream: true }, { faultAfter: 4 }));
    expect(brokeOff).toBe(false);
    expect(tokensIn(data)).toBe(4);
    expect(data.join()).not.toContain('"finish_reason":"');
    expect(data).not.toContain('[DONE]');
  });

  it('malformed: has one chunk that is not JSON and is whole otherwise', async () => {
    const { data } = await readEvents(await ask('malformed', { stream: true }, { faultAfter: 4 }));
    const broken = data.filter((one) => one !== '[DONE]' && !isJson(one));
    expect(broken).toHaveLength(1);
    expect(tokensIn(data.slice(0, data.indexOf(broken[0] ?? '')))).toBe(4);
    expect(textIn(data)).toBe(await wholeText());
    expect(data.at(-1)).toBe('[DONE]');
  });

  it('no-done: lacks nothing but [DONE]', async () => {
    const { data, brokeOff } = await readEvents(await ask('no-done', { stream: true }));
    expect(brokeOff).toBe(false);
    expect(textIn(data)).toBe(await wholeText());
    expect(JSON.parse(data.at(-1) ?? '').choices[0].finish_reason).toBe('stop');
  });

  it('error-event: begins with an error, which the SDK throws', async () => {
    const { data } = await readEvents(await ask('error-event', { stream: true }));
    expect(data).toHaveLength(1);
    expect(JSON.parse(data[0] ?? '').error.type).toBe('server_error');
    const stream = await sdk(sandbox.current).chat.completions.create({
      model: 'sandbox-fault-error-event',
      messages: [{ role: 'user', content: 'hi' }],
      stream: true,
    });
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toThrow('sandbox failed');
  });

  it('mid-error: sends an error after some tokens and ends', async () => {
    const { data } = await readEvents(await ask('mid-error', { stream: true }, { faultAfter: 4 }));
    expect(tokensIn(data)).toBe(4);
    expect(JSON.parse(data.at(-1) ?? '').error.type).toBe('server_error');
  });

  it('content-filter: stops every choice in the middle with that finish reason', async () => {
    const request = { stream: true, n: 2, stream_options: { include_usage: true } };
    const { data } = await readEvents(await ask('content-filter', request, { faultAfter: 4 }));
    expect(tokensIn(data) + data.filter((one) => textIn([one], 1) !== '').length).toBe(4);
    expect(data.filter((one) => one.includes('"finish_reason":"content_filter"'))).toHaveLength(2);
    expect(JSON.parse(data.at(-2) ?? '').usage.completion_tokens).toBe(4);
  });

  it('slow-first-token: sends headers at once and the first token late', async () => {
    const startedAt = performance.now();
    const response = await ask('slow-first-token', { stream: true }, { firstTokenMs: 600 });
    expect(performance.now() - startedAt).toBeLessThan(450);
    const { data } = await readEvents(response);
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(595);
    expect(textIn(data)).toBe(await wholeText());

    const late = await ask('slow-first-token', { stream: true }, {}, AbortSignal.timeout(500));
    expect(await readEvents(late)).toEqual({ data: [], brokeOff: true });
  });
});

describe('in a plain answer', () => {
  it('cut and stall: give headers and a part of the body', async () => {
    for (const fault of ['cut', 'stall'] as const) {
      const response = await ask(fault, {}, {}, AbortSignal.timeout(600));
      expect(response.status).toBe(200);
      expect(Number(response.headers.get('content-length'))).toBeGreaterThan(0);
      await expect(response.text()).rejects.toThrow();
      expect(await outcome()).toBe(fault === 'cut' ? 'faulted' : 'aborted');
    }
  });

  it('end and malformed: give a whole body that is not JSON', async () => {
    for (const fault of ['end', 'malformed'] as const) {
      const text = await (await ask(fault)).text();
      expect(text).toContain('"object":"chat.completion"');
      expect(isJson(text)).toBe(false);
    }
  });

  it('error-event and mid-error: give an error with status 200', async () => {
    for (const fault of ['error-event', 'mid-error'] as const) {
      expect((await (await ask(fault)).json()).error.type).toBe('server_error');
    }
  });

  it('content-filter: gives the beginning with that finish reason', async () => {
    const { choices, usage } = await (await ask('content-filter', {}, { faultAfter: 4 })).json();
    expect(choices[0].finish_reason).toBe('content_filter');
    expect(usage.completion_tokens).toBe(4);
    expect(await wholeText()).toContain(choices[0].message.content);
  });

  it('no-done: changes nothing', async () => {
    expect((await (await ask('no-done')).json()).choices[0].message.content).toBe(await wholeText());
  });
});

it('plays a fault by the name of a model, unless the request asks for another', async () => {
  expect((await post(sandbox.current, { model: 'sandbox-fault-status', sandbox: { status: 503 } })).status).toBe(503);
  expect((await post(sandbox.current, { model: 'sandbox-fault-context-length' })).status).toBe(400);
  const { data } = await readEvents(await post(sandbox.current, { model: 'sandbox-fault-end', stream: true }));
  expect(data).not.toContain('[DONE]');
  const headers = { 'x-sandbox': 'fault=no-done' };
  expect((await post(sandbox.current, { model: 'sandbox-fault-status' }, { headers })).status).toBe(200);
});

it('plays a fault each time, also after the same request went well', async () => {
  const play = async (fault: Fault | null, stream: boolean) => {
    const headers: Record<string, string> = fault ? { 'x-sandbox': `fault=${fault}` } : {};
    const response = await post(sandbox.current, { stream }, { headers });
    return { status: response.status, body: await response.text() };
  };
  for (const [, stream] of usesStream) {
    const well = await play(null, stream);
    for (const fault of ['status', 'end', 'malformed', 'mid-error', 'error-body', 'content-filter'] as const) {
      const first = await play(fault, stream);
      expect(first).not.toEqual(well);
      expect(await play(fault, stream)).toEqual(first);
    }
    expect(await play(null, stream)).toEqual(well);
  }
});
