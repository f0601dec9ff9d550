import { describe, expect, it } from 'vitest';
import { startSandbox } from '../../../../src/gateway/upstream/sandbox/sandbox.ts';
import { countTokens } from '../../../../src/gateway/upstream/sandbox/tokens.ts';
import { post, readEvents, sdk, textIn, useSandbox } from './kit.ts';

const sandbox = useSandbox();
const messages = [{ role: 'user' as const, content: 'Tell me about “Zürich” 🚂 and\nother things' }];

describe('a plain answer', () => {
  it('has the members of an OpenAI chat completion and says that it is made up', async () => {
    const answer = await sdk(sandbox.current).chat.completions.create({ model: 'sandbox-small', messages });
    expect(answer.object).toBe('chat.completion');
    expect(answer.id).toMatch(/^chatcmpl-/);
    expect(answer.model).toBe('sandbox-small');
    expect(answer.system_fingerprint).toContain('sandbox');
    expect(answer.choices).toHaveLength(1);
    expect(answer.choices[0]?.finish_reason).toBe('stop');
    expect(answer.choices[0]?.message.content).toContain('Signalbox sandbox');
    expect(answer.choices[0]?.message.content).toContain('“Zürich” 🚂 and other things');
  });

  it('counts the tokens of its own text', async () => {
    const { choices, usage } = await sdk(sandbox.current).chat.completions.create({ model: 'sandbox-large', messages });
    expect(usage?.completion_tokens).toBe(countTokens(choices[0]?.message.content ?? ''));
    expect(usage?.total_tokens).toBe((usage?.prompt_tokens ?? 0) + (usage?.completion_tokens ?? 0));
  });

  it('counts a longer prompt as more tokens, and images', async () => {
    const usageOf = async (content: unknown) => {
      const response = await post(sandbox.current, { messages: [{ role: 'user', content }] });
      return (await response.json()).usage.prompt_tokens;
    };
    const short = await usageOf('one two');
    expect(await usageOf('one two three four')).toBe(short + 2);
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } };
    expect(await usageOf([{ type: 'text', text: 'one two' }, image])).toBeGreaterThan(short);
  });

  it('gives as many tokens as asked for', async () => {
    for (const outputTokens of [1, 7, 500]) {
      const { usage } = await (await post(sandbox.current, { sandbox: { outputTokens } })).json();
      expect(usage.completion_tokens).toBe(outputTokens);
    }
  });

  it('reports cached tokens when asked to, never more than the prompt has', async () => {
    const body = await (await post(sandbox.current, { sandbox: { cachedTokens: 3 } })).json();
    expect(body.usage.prompt_tokens_details.cached_tokens).toBe(3);
    const all = await (await post(sandbox.current, { sandbox: { cachedTokens: 1000 } })).json();
    expect(all.usage.prompt_tokens_details.cached_tokens).toBe(all.usage.prompt_tokens);
  });
});

describe('determinism', () => {
  const bytes = async (body: object) => (await post(sandbox.current, body)).text();

  it('gives the same bytes for the same request, also in another order of members and from another sandbox', async () => {
    for (const stream of [false, true]) {
      const first = await bytes({ messages, stream, top_p: 0.5 });
      expect(await bytes({ messages, stream, top_p: 0.5 })).toBe(first);
      const reordered = messages.map(({ role, content }) => ({ content, role }));
      expect(await bytes({ messages: reordered, top_p: 0.5, stream })).toBe(first);
    }
    const other = await startSandbox({ port: 0 });
    expect(await (await post(other, { messages })).text()).toBe(await bytes({ messages }));
    await other.close();
  });

  it('says the same whether it streams or not', async () => {
    const whole = await (await post(sandbox.current, { messages })).json();
    const { data } = await readEvents(await post(sandbox.current, { messages, stream: true }));
    expect(textIn(data)).toBe(whole.choices[0].message.content);
    expect(JSON.parse(data[0] ?? '').id).toBe(whole.id);
  });

  it('says something else for another seed', async () => {
    const one = await (await post(sandbox.current, { seed: 1 })).json();
    const two = await (await post(sandbox.current, { seed: 2 })).json();
    expect(one.id).not.toBe(two.id);
    expect(one.choices[0].message.content).not.toBe(two.choices[0].message.content);
  });
});

describe('a streamed answer', () => {
  it('begins with the role, has one token in each event, and ends with a finish reason and [DONE]', async () => {
    const { data } = await readEvents(await post(sandbox.current, { stream: true }));
    expect(data.at(-1)).toBe('[DONE]');
    const chunks = data.slice(0, -1).map((one) => JSON.parse(one));
    expect(chunks[0].choices[0].delta.role).toBe('assistant');
    expect(chunks.at(-1).choices[0].finish_reason).toBe('stop');
    const texts = chunks.slice(1, -1).map((chunk) => chunk.choices[0].delta.content);
    expect(texts.map(countTokens)).toEqual(texts.map(() => 1));
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false);
  });

  it('ends with the usage and no choices when that is asked for', async () => {
    const body = { stream: true, stream_options: { include_usage: true } };
    const { data } = await readEvents(await post(sandbox.current, body));
    const chunks = data.slice(0, -1).map((one) => JSON.parse(one));
    const { usage } = await (await post(sandbox.current)).json();
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
  });

  it('reasons before it answers where the model does', async () => {
    const request = { model: 'sandbox-reasoning', stream: true, stream_options: { include_usage: true } };
    const { data } = await readEvents(await post(sandbox.current, request));
    const deltas = data
      .slice(0, -1)
      .flatMap((one) => JSON.parse(one).choices)
      .map((choice) => choice.delta);
    const reasoning = deltas.filter((delta) => delta.reasoning_content);
    expect(deltas.indexOf(reasoning.at(-1))).toBeLessThan(deltas.findIndex((delta) => delta.content));
    const { usage } = JSON.parse(data.at(-2) ?? '');
    expect(usage.completion_tokens_details.reasoning_tokens).toBe(reasoning.length);
    expect(usage.completion_tokens).toBeGreaterThan(reasoning.length);

    const whole = await (await post(sandbox.current, { model: 'sandbox-reasoning' })).json();
    expect(whole.choices[0].message.reasoning_content).toBe(reasoning.map((delta) => delta.reasoning_content).join(''));
  });

  it('reasons as much as the effort says', async () => {
    const reasoned = async (reasoning_effort: string) => {
      const response = await post(sandbox.current, { model: 'sandbox-reasoning', reasoning_effort });
      return (await response.json()).usage.completion_tokens_details.reasoning_tokens;
    };
    expect(await reasoned('none')).toBe(0);
    expect(await reasoned('high')).toBeGreaterThan(await reasoned('low'));
  });
});

describe('the parameters that shape an answer', () => {
  it('cuts at max_tokens and max_completion_tokens with the finish reason length', async () => {
    for (const limit of [
      { max_tokens: 5 },
      { max_completion_tokens: 5 },
      { max_tokens: 9, max_completion_tokens: 5 },
    ]) {
      const { choices, usage } = await (await post(sandbox.current, limit)).json();
      expect(choices[0].finish_reason).toBe('length');
      expect(usage.completion_tokens).toBe(5);
    }
  });

  it('does not call an answer cut that just fits', async () => {
    const { choices } = await (await post(sandbox.current, { max_tokens: 9, sandbox: { outputTokens: 9 } })).json();
    expect(choices[0].finish_reason).toBe('stop');
  });

  it('stops before a stop sequence, also where tokens meet, and streams the same', async () => {
    const whole = (await (await post(sandbox.current)).json()).choices[0].message.content as string;
    for (const stop of ['box sand', ['never said', 'wrote'], 'This']) {
      const { choices } = await (await post(sandbox.current, { stop })).json();
      const at = whole.indexOf(Array.isArray(stop) ? 'wrote' : stop);
      expect(at).toBeGreaterThanOrEqual(0);
      expect(choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: whole.slice(0, at) } });
      const { data } = await readEvents(await post(sandbox.current, { stop, stream: true }));
      expect(textIn(data)).toBe(whole.slice(0, at));
    }
  });

  it('gives n different choices, streamed in turns', async () => {
    const { choices, usage } = await (await post(sandbox.current, { n: 8 })).json();
    const texts = choices.map((choice: { message: { content: string } }) => choice.message.content);
    expect(new Set(texts).size).toBeGreaterThan(1);
    expect(usage.completion_tokens).toBe(texts.map(countTokens).reduce((a: number, b: number) => a + b));

    const { data } = await readEvents(await post(sandbox.current, { n: 8, stream: true }));
    expect(texts.map((_: string, index: number) => textIn(data, index))).toEqual(texts);
  });

  it('takes controls from the header, which the body overrides', async () => {
    const headers = { 'x-sandbox': 'outputTokens=3; cachedTokens=2' };
    const { usage } = await (await post(sandbox.current, { sandbox: { outputTokens: 4 } }, { headers })).json();
    expect(usage.completion_tokens).toBe(4);
    expect(usage.prompt_tokens_details.cached_tokens).toBe(2);
  });
});

it('lists its models, fault models too, and describes one', async () => {
  const models = await sdk(sandbox.current).models.list();
  const ids = models.data.map((model) => model.id);
  expect(ids).toEqual(
    expect.arrayContaining(['sandbox-small', 'sandbox-large', 'sandbox-reasoning', 'sandbox-fault-stall']),
  );
  expect((await sdk(sandbox.current).models.retrieve('sandbox-large')).id).toBe('sandbox-large');
});
