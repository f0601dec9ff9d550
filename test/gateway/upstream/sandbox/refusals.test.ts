import { connect } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { post, sdk, useSandbox } from './kit.ts';

const sandbox = useSandbox();
const user = { role: 'user', content: 'hi' };

function postRaw(body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${sandbox.current.url}/chat/completions`, { method: 'POST', body, headers });
}

async function expectError(
  response: Response,
  status: number,
): Promise<{ message: string; param: string; code: string }> {
  const { error } = await response.json();
  expect(response.status, error?.message).toBe(status);
  expect(error).toEqual({
    message: expect.any(String),
    type: 'invalid_request_error',
    param: error.param,
    code: error.code,
  });
  return error;
}

describe('a wrong member', () => {
  const wrong: [string, object, string][] = [
    ['no messages', { messages: undefined }, 'messages'],
    ['an empty list of messages', { messages: [] }, 'messages'],
    ['messages that are a string', { messages: 'hi' }, 'messages'],
    ['a message without a role', { messages: [{ content: 'hi' }] }, 'messages[0].role'],
    ['a role that does not exist', { messages: [user, { role: 'boss', content: 'hi' }] }, 'messages[1].role'],
    ['content that is a number', { messages: [{ role: 'user', content: 7 }] }, 'messages[0].content'],
    [
      'a text part without text',
      { messages: [{ role: 'user', content: [{ type: 'text' }] }] },
      'messages[0].content[0]',
    ],
    ['an assistant that says nothing', { messages: [user, { role: 'assistant' }] }, 'messages[1]'],
    [
      'a tool result without its call',
      { messages: [user, { role: 'tool', content: 'x' }] },
      'messages[1].tool_call_id',
    ],
    ['no model', { model: undefined }, 'model'],
    ['stream that is a string', { stream: 'yes' }, 'stream'],
    ['stream_options without stream', { stream_options: { include_usage: true } }, 'stream_options'],
    ['max_tokens of zero', { max_tokens: 0 }, 'max_tokens'],
    ['too many choices', { n: 9 }, 'n'],
    ['too many stops', { stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
    ['an empty stop', { stop: '' }, 'stop'],
    ['temperature out of range', { temperature: 2.1 }, 'temperature'],
    ['a tool without a name', { tools: [{ type: 'function', function: {} }] }, 'tools[0].function.name'],
    ['a tool_choice without tools', { tool_choice: 'required' }, 'tool_choice'],
    ['a tool_choice of no tool', { tool_choice: { type: 'function', function: { name: 'x' } } }, 'tool_choice'],
    ['a response_format that does not exist', { response_format: { type: 'xml' } }, 'response_format.type'],
    ['controls that are a string', { sandbox: 'fast' }, 'sandbox'],
    ['a control that does not exist', { sandbox: { latency: 5 } }, 'sandbox'],
    ['a control out of range', { sandbox: { outputTokens: 1_000_001 } }, 'sandbox.outputTokens'],
    ['a fault that does not exist', { sandbox: { fault: 'fire' } }, 'sandbox.fault'],
    ['a status that is no error', { sandbox: { status: 200 } }, 'sandbox.status'],
  ];

  it.each(wrong)('%s is refused with its name', async (_, member, param) => {
    const error = await expectError(await post(sandbox.current, member), 400);
    expect(error.param).toBe(param);
    expect(error.message).toContain(param);
  });

  it.each(['latencyMs', 'latencyMs=', 'latencyMs=soon', 'a=1', 'fault=stall=2', 'latencyMs=-1', '__proto__=1'])(
    'the control header %s is refused',
    async (header) => {
      expect(
        (await expectError(await post(sandbox.current, {}, { headers: { 'x-sandbox': header } }), 400)).param,
      ).toMatch(/^sandbox/);
    },
  );

  it('that is null counts as absent, and one that the sandbox does not know is let through', async () => {
    const nulls = { stream: null, n: null, stop: null, tools: null, max_tokens: null, temperature: null, seed: null };
    expect((await post(sandbox.current, { ...nulls, top_k: 40, provider: { order: ['a'] } })).status).toBe(200);
  });
});

it('refuses an unknown model as the SDK expects it', async () => {
  const asked = sdk(sandbox.current).chat.completions.create({
    model: 'gpt-9',
    messages: [{ role: 'user', content: 'hi' }],
  });
  await expect(asked).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  await expect(sdk(sandbox.current).models.retrieve('gpt-9')).rejects.toMatchObject({ status: 404 });
});

it('refuses what is not JSON, not UTF-8, or nested too deep', async () => {
  for (const body of ['', '{', 'null', '[]', '7', '"x"', '{"model":"sandbox-small"', Buffer.from([0x7b, 0xff, 0x7d])]) {
    await expectError(await postRaw(body), 400);
  }
  for (const nest of ['[', '{"a":']) {
    const close = nest === '[' ? ']' : '}';
    const deep = `${nest.repeat(100_000)}1${close.repeat(100_000)}`;
    const body = `{"model":"sandbox-small","messages":[{"role":"user","content":"hi"}],"extra":${deep}}`;
    expect((await expectError(await postRaw(body), 400)).message).toContain('nested');
  }
});

it('takes a body of 31 MiB and refuses one over 32 MiB after reading it', async () => {
  const bodyOf = (mib: number) =>
    JSON.stringify({
      model: 'sandbox-small',
      messages: [{ role: 'user', content: 'word '.repeat((mib * 1024 * 1024) / 5) }],
    });
  const answer = await (await postRaw(bodyOf(31))).json();
  expect(answer.usage.prompt_tokens).toBeGreaterThan(6_000_000);
  const error = await expectError(await postRaw(bodyOf(33)), 413);
  expect(error.message).toContain('33554432');
});

it('knows its paths and methods', async () => {
  const { url } = sandbox.current;
  await expectError(await fetch(`${url}/moderations`, { method: 'POST', body: '{}' }), 404);
  await expectError(await fetch(`${url}/models/%E0%A4%A`), 404);
  const wrongMethod = await fetch(`${url}/chat/completions`);
  expect(wrongMethod.headers.get('allow')).toBe('POST');
  await expectError(wrongMethod, 405);
  await expectError(await fetch(`${url}/models`, { method: 'DELETE' }), 405);
});

it('never answers 5xx and never falls, whatever the members hold', async () => {
  const names = [
    'messages',
    'stream',
    'stop',
    'n',
    'tools',
    'tool_choice',
    'response_format',
    'sandbox',
    'seed',
    'extra',
  ];
  const body = fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 4 });
  await fc.assert(
    fc.asyncProperty(body, async (members) => {
      const response = await post(sandbox.current, members);
      await response.arrayBuffer();
      expect(response.status).toBeLessThan(500);
    }),
    { numRuns: 300 },
  );
});

it('survives bytes that are not HTTP, and bodies that are never finished', async () => {
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n';
  const requests = [
    `${head}content-length: 100\r\n\r\n{"mod`,
    'NOT HTTP\r\n\r\n',
    `${head}transfer-encoding: chunked\r\n\r\nzz\r\n`,
  ];
  for (const bytes of requests) {
    const socket = connect(sandbox.current.port, '127.0.0.1');
    const closed = new Promise((resolve) =>
      socket
        .on('close', resolve)
        .on('error', resolve)
        .on('data', () => {}),
    );
    socket.write(bytes);
    setTimeout(() => socket.destroy(), 50);
    await closed;
  }
  expect((await post(sandbox.current)).status).toBe(200);
  expect(sandbox.current.stats().active).toBe(0);
});
