import { describe, expect, it } from 'vitest';
import { msUntil, post, postContents, postMessages, readEvents, textIn, useSandbox } from './kit.ts';

const sandbox = useSandbox();

type Post = (body: { model: string } & Record<string, unknown>, init?: RequestInit) => Promise<Response>;

interface Native {
  post: Post;
  /** What an answer says of its model, and of the conversation. */
  read(body: never): { model: string; text: string };
}

interface OpenAIAnswer {
  model: string;
  choices: [{ message: { content: string } }];
}
interface Message {
  model: string;
  content: [{ text: string }];
}
interface Candidates {
  modelVersion: string;
  candidates: [{ content: { parts: [{ text: string }] } }];
}

const NATIVES: Record<string, Native> = {
  OpenAI: {
    post: (body, init) => post(sandbox.current, body, init),
    read: ({ model, choices }: OpenAIAnswer) => ({ model, text: choices[0].message.content }),
  },
  Anthropic: {
    post: (body, init) => postMessages(sandbox.current, body, init),
    read: ({ model, content }: Message) => ({ model, text: content[0].text }),
  },
  Gemini: {
    post: ({ model, ...body }, init) =>
      postContents(sandbox.current, { ...body, model: encodeURIComponent(model) }, init),
    read: ({ modelVersion, candidates }: Candidates) => ({
      model: modelVersion,
      text: candidates[0].content.parts[0].text,
    }),
  },
};

describe.each(Object.entries(NATIVES))('controls behind the name of a model, with %s', (_, native) => {
  const ask = (model: string, init?: RequestInit, more: object = {}) => native.post({ model, ...more }, init);
  const answer = async (model: string, init?: RequestInit, more: object = {}) =>
    native.read((await (await ask(model, init, more)).json()) as never);

  it('are obeyed, and the answer repeats the name', async () => {
    expect((await ask('sandbox-small;fault=status;status=429;retryAfter=1')).status).toBe(429);
    expect((await ask('sandbox-small; status=503 ;')).status).toBe(503);
    const name = 'sandbox-small;outputTokens=7';
    const plain = await answer('sandbox-small');
    const short = await answer(name);
    expect(short.model).toBe(name);
    expect(short.text.length).toBeLessThan(plain.text.length);
    expect(plain.text.startsWith(short.text)).toBe(true);
  });

  it('leave the text of the answer alone', async () => {
    const { text } = await answer('sandbox-large');
    expect((await answer('sandbox-large;latencyMs=1;fault=no-done;scenario=any')).text).toBe(text);
    expect((await answer('sandbox-large;')).text).toBe(text);
  });

  it('yield to the header, and that to the body', async () => {
    const headers = { 'x-sandbox': 'status=504' };
    const name = 'sandbox-small;status=503';
    expect((await ask(name, { headers })).status).toBe(504);
    expect((await ask(name, { headers }, { sandbox: { status: 502 } })).status).toBe(502);
    expect((await ask(name)).status).toBe(503);
  });

  it.each([
    'sandbox-small;faults=stall',
    'sandbox-small;fault=burn',
    'sandbox-small;status=200',
    'sandbox-small;times=0',
    'sandbox-small;forMs=0',
    'sandbox-small;times=1.5',
    'sandbox-small;fault',
    'sandbox-small;scenario=a b',
    `sandbox-small;scenario=${'a'.repeat(65)}`,
  ])('are refused as wrong: %s', async (model) => {
    const refused = await ask(model);
    expect(refused.status).toBe(400);
    expect(JSON.stringify(await refused.json())).toContain('sandbox');
    await msUntil(() => sandbox.current.stats().active === 0);
    expect(sandbox.current.requests()[0]?.outcome).toBe('refused');
  });

  it('do not make a model of a name that is none', async () => {
    expect((await ask('sandbox-tiny;fault=stall')).status).toBe(404);
    expect((await ask(';fault=stall')).status).toBe(404);
  });

  it('limit a fault to the first requests', async () => {
    const name = 'sandbox-small;fault=status;status=503;times=2';
    const statuses: number[] = [];
    for (let at = 0; at < 4; at++) statuses.push((await ask(`${name};scenario=${crypto.randomUUID()}`)).status);
    expect(statuses).toEqual([503, 503, 503, 503]);
    const scenario = crypto.randomUUID();
    statuses.length = 0;
    for (let at = 0; at < 4; at++) statuses.push((await ask(`${name};scenario=${scenario}`)).status);
    expect(statuses).toEqual([503, 503, 200, 200]);
    const { text } = await answer('sandbox-small');
    expect((await answer(`${name};scenario=${scenario}`)).text).toBe(text);
  });
});

describe('of embeddings', () => {
  const embed = (model: string) => {
    const body = JSON.stringify({ model, input: 'a' });
    return fetch(`${sandbox.current.url}/embeddings`, { method: 'POST', body });
  };
  const embedAt = (model: string, body: object) =>
    fetch(`${sandbox.current.urls.GEMINI}/models/${encodeURIComponent(model)}:batchEmbedContents`, {
      method: 'POST',
      body: JSON.stringify(body),
    });

  it('are obeyed, and the vectors are the same', async () => {
    const name = 'sandbox-embedding;fault=status;status=503;times=1';
    expect((await embed(name)).status).toBe(503);
    const [late, plain] = [await (await embed(name)).json(), await (await embed('sandbox-embedding')).json()];
    expect(late).toEqual({ ...plain, model: name });
    expect((await embed('sandbox-embedding;fault=burn')).status).toBe(400);
  });

  it('are obeyed in the path, and the body names the same model', async () => {
    const name = 'sandbox-embedding;fault=reset;times=1';
    const body = { requests: [{ model: `models/${name}`, content: { parts: [{ text: 'a' }] } }] };
    await expect(embedAt(name, body)).rejects.toThrow();
    const answered = await embedAt(name, body);
    expect(answered.status).toBe(200);
    const plain = { requests: [{ content: { parts: [{ text: 'a' }] } }] };
    expect(await answered.json()).toEqual(await (await embedAt('sandbox-embedding', plain)).json());
    expect((await embedAt('sandbox-embedding', body)).status).toBe(400);
  });
});

describe('a scenario', () => {
  const status = async (model: string) => (await post(sandbox.current, { model })).status;

  it('is over after its time, counted from its first request', async () => {
    const model = 'sandbox-small;status=503;forMs=300';
    const startedAt = performance.now();
    expect(await status(model)).toBe(503);
    await msUntil(() => performance.now() - startedAt > 320);
    expect(await status(model)).toBe(200);
  });

  it('counts the requests of the models that name it together', async () => {
    expect(await status('sandbox-small;status=503;times=2;scenario=shared')).toBe(503);
    expect(await status('sandbox-large;status=503;times=2;scenario=shared')).toBe(503);
    expect(await status('sandbox-large;status=503;times=2;scenario=shared')).toBe(200);
    expect(await status('sandbox-large;status=503;times=2;scenario=other')).toBe(503);
  });

  it('counts requests that come at once each by itself', async () => {
    const model = 'sandbox-small;status=503;times=7;scenario=at-once';
    const statuses = await Promise.all(Array.from({ length: 30 }, () => status(model)));
    expect(statuses.filter((one) => one === 503)).toHaveLength(7);
    expect(statuses.filter((one) => one === 200)).toHaveLength(23);
  });

  it('is forgotten when a thousand others were used since', { timeout: 30_000 }, async () => {
    const model = (scenario: string) => `sandbox-small;status=503;times=1;scenario=${scenario}`;
    expect(await status(model('kept'))).toBe(503);
    expect(await status(model('lost'))).toBe(503);
    for (let at = 0; at < 998; at++) await status(model(`filler-${at}`));
    expect(await status(model('kept'))).toBe(200);
    await status(model('last'));
    expect(await status(model('kept'))).toBe(200);
    expect(await status(model('lost'))).toBe(503);
  });

  it('limits the wait for a first token like any other fault', async () => {
    const model = 'sandbox-small;fault=slow-first-token;firstTokenMs=400;times=1';
    const firstAt = performance.now();
    await readEvents(await post(sandbox.current, { model, stream: true }));
    expect(performance.now() - firstAt).toBeGreaterThanOrEqual(395);
    const secondAt = performance.now();
    await readEvents(await post(sandbox.current, { model, stream: true }));
    expect(performance.now() - secondAt).toBeLessThan(300);
  });
});

describe('prefill', () => {
  const fault = { sandbox: { fault: 'prefill' } };
  const assistant = { role: 'assistant', content: 'It is' };
  const user = { role: 'user', content: 'What time is it?' };

  it('refuses to continue what the assistant began, in the words of each dialect', async () => {
    const openai = await post(sandbox.current, { ...fault, messages: [user, assistant] });
    expect(openai.status).toBe(400);
    expect((await openai.json()).error).toMatchObject({ type: 'invalid_request_error', param: 'messages' });
    const anthropic = await postMessages(sandbox.current, { ...fault, messages: [user, assistant] });
    expect(anthropic.status).toBe(400);
    expect((await anthropic.json()).error).toEqual({
      type: 'invalid_request_error',
      message: 'This model does not support assistant message prefill. The conversation must end with a user message.',
    });
    const contents = [
      { role: 'user', parts: [{ text: 'What time is it?' }] },
      { role: 'model', parts: [{ text: 'It is' }] },
    ];
    const gemini = await postContents(sandbox.current, { ...fault, contents });
    expect(gemini.status).toBe(400);
    expect((await gemini.json()).error.status).toBe('INVALID_ARGUMENT');
    await msUntil(() => sandbox.current.stats().active === 0);
    expect(sandbox.current.requests(3).map(({ outcome }) => outcome)).toEqual(['faulted', 'faulted', 'faulted']);
  });

  it('answers everything else', async () => {
    const request = { messages: [user, assistant, user], stream: true };
    const { data } = await readEvents(await post(sandbox.current, { ...fault, ...request }));
    const plain = await readEvents(await post(sandbox.current, request));
    expect(textIn(data)).toBe(textIn(plain.data));
    expect(textIn(data)).not.toBe('');
  });
});

describe('an error behind a 200', () => {
  it('speaks of the status that is asked for', async () => {
    const sandboxOf = (fault: string) => ({ sandbox: { fault, status: 529 } });
    for (const fault of ['error-event', 'mid-error']) {
      const { data } = await readEvents(await postMessages(sandbox.current, { ...sandboxOf(fault), stream: true }));
      expect(JSON.parse(data.at(-1) ?? '').error.type).toBe('overloaded_error');
    }
    const body = await postMessages(sandbox.current, sandboxOf('error-body'));
    expect(body.status).toBe(200);
    expect((await body.json()).error.type).toBe('overloaded_error');
  });
});

it('keeps the model as it was asked for on its record, as many as are wanted', async () => {
  const model = 'sandbox-small;status=503';
  const startedAt = Date.now();
  await post(sandbox.current, { model });
  await msUntil(() => sandbox.current.stats().active === 0);
  const url = `${sandbox.current.url}/sandbox/requests`;
  const [record, ...others] = await (await fetch(`${url}?first=1`)).json();
  expect(others).toEqual([]);
  expect(record).toMatchObject({ model, outcome: 'faulted', dialect: 'OPENAI' });
  expect(Date.parse(record.startedAt)).toBeGreaterThanOrEqual(startedAt);
  expect(Date.parse(record.finishedAt)).toBeGreaterThanOrEqual(Date.parse(record.startedAt));
  for (const first of ['0', '20001', 'many']) expect((await fetch(`${url}?first=${first}`)).status).toBe(400);
});
