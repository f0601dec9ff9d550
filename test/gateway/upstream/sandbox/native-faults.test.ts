import { describe, expect, it } from 'vitest';
import type { Fault } from '../../../../src/gateway/upstream/sandbox/faults.ts';
import { anthropicSdk, geminiSdk, isJson, msUntil, postContents, postMessages, readEvents, useSandbox } from './kit.ts';

const sandbox = useSandbox();
const OUTPUT_TOKENS = 30;

interface Native {
  post(body: Record<string, unknown>, init?: RequestInit): Promise<Response>;
  /** The text that one event adds. */
  textIn(event: unknown): string;
  /** The text of a plain answer. */
  textOf(body: unknown): string;
  /** What the answer says of its end, if it comes to it. */
  endIn(event: unknown): string | undefined;
  refused: string;
  error(status: number): object;
}

const NATIVES: Record<string, Native> = {
  Anthropic: {
    post: (body, init) => postMessages(sandbox.current, body, init),
    textIn: (event) => at(event, 'delta', 'text') ?? '',
    textOf: (body) => at(body, 'content', 0, 'text') ?? '',
    endIn: (event) => at(event, 'delta', 'stop_reason') ?? at(event, 'stop_reason'),
    refused: 'refusal',
    error: (status) => {
      const type = { 429: 'rate_limit_error', 503: 'api_error', 529: 'overloaded_error' }[status] ?? 'api_error';
      return {
        type: 'error',
        error: { type, message: expect.any(String) },
        request_id: expect.stringMatching(/^req_/),
      };
    },
  },
  Gemini: {
    post: (body, init) => postContents(sandbox.current, body, init),
    textIn: (event) => at(event, 'candidates', 0, 'content', 'parts', 0, 'text') ?? '',
    textOf: (body) => at(body, 'candidates', 0, 'content', 'parts', 0, 'text') ?? '',
    endIn: (event) => at(event, 'candidates', 0, 'finishReason'),
    refused: 'SAFETY',
    error: (code) => {
      const status = { 429: 'RESOURCE_EXHAUSTED', 503: 'UNAVAILABLE' }[code] ?? 'INTERNAL';
      return { error: expect.objectContaining({ code, status, message: expect.any(String) }) };
    },
  },
};

/** The text behind a path of member names, if there is one. */
function at(value: unknown, ...path: (string | number)[]): string | undefined {
  const found = path.reduce<unknown>((inner, name) => {
    return typeof inner === 'object' && inner !== null ? Reflect.get(inner, name) : undefined;
  }, value);
  return typeof found === 'string' ? found : undefined;
}

async function outcome(): Promise<string> {
  await msUntil(() => sandbox.current.stats().active === 0);
  return sandbox.current.requests()[0]?.outcome ?? 'none';
}

describe.each(Object.entries(NATIVES))('with %s', (_, native) => {
  function play(fault: Fault, extra: Record<string, unknown> = {}, controls: object = {}, signal?: AbortSignal) {
    const all = { fault, outputTokens: OUTPUT_TOKENS, ...controls };
    return native.post({ ...extra, sandbox: all }, signal ? { signal } : {});
  }

  async function events(response: Response) {
    const { data, brokeOff } = await readEvents(response);
    const parsed: unknown[] = data.filter(isJson).map((one) => JSON.parse(one));
    const text = parsed.map(native.textIn).join('');
    const tokens = parsed.filter((one) => native.textIn(one) !== '').length;
    return {
      data,
      brokeOff,
      text,
      tokens,
      ends: parsed.flatMap((one) => native.endIn(one) ?? []),
      last: parsed.at(-1),
    };
  }

  async function wholeText(): Promise<string> {
    return native.textOf(await (await native.post({ sandbox: { outputTokens: OUTPUT_TOKENS } })).json());
  }

  describe.each([true, false])('before an answer, streamed: %s', (stream) => {
    it('status: gives that status in native words', async () => {
      for (const status of [429, 503, 529]) {
        const response = await play('status', { stream }, { status });
        expect(response.status).toBe(status);
        expect(await response.json()).toEqual(native.error(status));
        expect(await outcome()).toBe('faulted');
      }
      const byHeader = await native.post({ stream }, { headers: { 'x-sandbox': 'status=503' } });
      expect(byHeader.status).toBe(503);
    });

    it('context-length, error-body, reset and silent', async () => {
      const tooLong = await play('context-length', { stream });
      expect(tooLong.status).toBe(400);
      const { message } = (await tooLong.json()).error;
      const [, tokens, most] = /(\d+)\D+(\d+)/.exec(message) ?? [];
      expect(Number(tokens)).toBe(Number(most) + 1);
      const told = [
        `prompt is too long: ${tokens} tokens > ${most} maximum`,
        `The input token count (${tokens}) exceeds the maximum number of tokens allowed (${most}).`,
      ];
      expect(told).toContain(message);

      const error = await play('error-body', { stream });
      expect(error.status).toBe(200);
      expect(await error.json()).toEqual(native.error(500));

      const reset = await play('reset', { stream }).catch((reason) => reason);
      expect(reset.cause?.code).toBe('ECONNRESET');
      await expect(play('silent', { stream }, {}, AbortSignal.timeout(150))).rejects.toThrow('timeout');
      expect(await outcome()).toBe('aborted');
    });
  });

  describe('in a stream', () => {
    const stream = true;

    it('cut and stall: stop in the middle', async () => {
      const cut = await events(await play('cut', { stream }, { faultAfter: 13 }));
      expect(cut).toMatchObject({ brokeOff: true, tokens: 13, ends: [] });
      expect(await outcome()).toBe('faulted');
      const stalled = await events(await play('stall', { stream }, {}, AbortSignal.timeout(300)));
      expect(stalled).toMatchObject({ brokeOff: true, tokens: 20, ends: [] });
      expect(await outcome()).toBe('aborted');
    });

    it('end: ends cleanly without a reason', async () => {
      const { data, ...ended } = await events(await play('end', { stream }, { faultAfter: 4 }));
      expect(ended).toMatchObject({ brokeOff: false, tokens: 4, ends: [] });
      expect(data.join()).not.toContain('message_stop');
    });

    it('malformed: has one event that is not JSON and is whole otherwise', async () => {
      const { data, text, ends } = await events(await play('malformed', { stream }, { faultAfter: 4 }));
      expect(data.filter((one) => !isJson(one))).toHaveLength(1);
      expect(text).toBe(await wholeText());
      expect(ends).toHaveLength(1);
    });

    it('no-done: lacks nothing but what marks the end', async () => {
      const { data, text, ends } = await events(await play('no-done', { stream }));
      expect(text).toBe(await wholeText());
      expect(ends).toHaveLength(1);
      expect(data.join()).not.toContain('message_stop');
    });

    it('error-event and mid-error: end with an error', async () => {
      const first = await events(await play('error-event', { stream }));
      expect(first.data).toHaveLength(1);
      expect(first.last).toEqual(native.error(500));
      const middle = await events(await play('mid-error', { stream }, { faultAfter: 4 }));
      expect(middle).toMatchObject({ brokeOff: false, tokens: 4, ends: [] });
      expect(middle.last).toEqual(native.error(500));
    });

    it('content-filter: stops in the middle and says why', async () => {
      const filtered = await events(await play('content-filter', { stream }, { faultAfter: 4 }));
      expect(filtered).toMatchObject({ tokens: 4, ends: [native.refused] });
    });

    it('slow-first-token: sends headers at once and the first token late', async () => {
      const startedAt = performance.now();
      const response = await play('slow-first-token', { stream }, { firstTokenMs: 400 });
      expect(performance.now() - startedAt).toBeLessThan(300);
      expect((await events(response)).text).toBe(await wholeText());
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(395);
    });
  });

  describe('in a plain answer', () => {
    it('cut, stall, end and malformed: give a body that is not whole', async () => {
      for (const fault of ['cut', 'stall'] as const) {
        const response = await play(fault, {}, {}, AbortSignal.timeout(300));
        await expect(response.text()).rejects.toThrow();
        expect(await outcome()).toBe(fault === 'cut' ? 'faulted' : 'aborted');
      }
      for (const fault of ['end', 'malformed'] as const) {
        const text = await (await play(fault)).text();
        expect(text).toMatch(/^\{/);
        expect(isJson(text)).toBe(false);
      }
    });

    it('error-event, mid-error, content-filter and no-done', async () => {
      for (const fault of ['error-event', 'mid-error'] as const) {
        expect(await (await play(fault)).json()).toEqual(native.error(500));
      }
      const filtered = await (await play('content-filter', {}, { faultAfter: 4 })).json();
      expect(native.endIn(filtered)).toBe(native.refused);
      expect(await wholeText()).toContain(native.textOf(filtered));
      expect(native.textOf(await (await play('no-done')).json())).toBe(await wholeText());
    });
  });

  it('plays a fault by the name of a model, each time it is asked for', async () => {
    for (let times = 0; times < 2; times++) {
      expect((await native.post({ model: 'sandbox-fault-status' })).status).toBe(500);
      const { ends } = await events(await native.post({ model: 'sandbox-fault-end', stream: true }));
      expect(ends).toEqual([]);
    }
  });
});

it('is thrown by the SDKs in the middle of their streams', async () => {
  const messages = [{ role: 'user' as const, content: 'hi' }];
  const model = 'sandbox-fault-mid-error';
  const anthropic = anthropicSdk(sandbox.current).messages.stream({ model, max_tokens: 99, messages });
  await expect(anthropic.finalMessage()).rejects.toThrow('in the middle of its answer');
  const gemini = await geminiSdk(sandbox.current).models.generateContentStream({ model, contents: 'hi' });
  const read = async () => {
    for await (const _ of gemini);
  };
  await expect(read()).rejects.toThrow('in the middle of its answer');
});

it('asks to wait in a header with Anthropic, and in the body with Gemini', async () => {
  const controls = { sandbox: { status: 429, retryAfter: 7 } };
  const anthropic = await postMessages(sandbox.current, controls);
  expect(anthropic.headers.get('retry-after')).toBe('7');
  const gemini = await postContents(sandbox.current, controls);
  expect(gemini.headers.get('retry-after')).toBeNull();
  const { error } = await gemini.json();
  expect(error.details).toEqual([{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '7s' }]);
});

it('counts the requests of all dialects', async () => {
  const before = sandbox.current.stats();
  await (await postMessages(sandbox.current)).text();
  await (await postContents(sandbox.current, { stream: true })).text();
  await (await postContents(sandbox.current, { contents: [] })).text();
  await msUntil(() => sandbox.current.stats().active === 0);
  expect(sandbox.current.stats()).toMatchObject({
    requests: before.requests + 3,
    completed: before.completed + 2,
    refused: before.refused + 1,
  });
});
