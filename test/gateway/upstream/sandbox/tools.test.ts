import type OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { post, sdk, useSandbox } from './kit.ts';

const sandbox = useSandbox();

const Weather = z.strictObject({ city: z.string().min(3), unit: z.enum(['c', 'f']), days: z.int().min(2).max(4) });
const Time = z.strictObject({ zone: z.string() });
const tools = [tool('get_weather', Weather), tool('get_time', Time)];

function tool(name: string, schema: z.ZodType): OpenAI.ChatCompletionFunctionTool {
  return { type: 'function', function: { name, parameters: z.toJSONSchema(schema) } };
}

async function callsFor(content: string, extra: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> = {}) {
  const messages = [{ role: 'user' as const, content }];
  const answer = await sdk(sandbox.current).chat.completions.create({
    model: 'sandbox-small',
    messages,
    tools,
    ...extra,
  });
  const [choice] = answer.choices;
  const calls = (choice?.message.tool_calls ?? []).filter((call) => call.type === 'function');
  return { names: calls.map((call) => call.function.name), calls, finishReason: choice?.finish_reason, answer };
}

describe('which tools are called', () => {
  it('calls the tool that the user mentions, with arguments that satisfy its schema', async () => {
    const { names, calls, finishReason } = await callsFor('Please use get_weather for Bern');
    expect(names).toEqual(['get_weather']);
    expect(finishReason).toBe('tool_calls');
    expect(Weather.parse(JSON.parse(calls[0]?.function.arguments ?? ''))).toBeTruthy();
  });

  it('calls several tools in parallel unless that is switched off, each under its own id', async () => {
    const { names, calls } = await callsFor('get_weather, then get_time');
    expect(names).toEqual(['get_weather', 'get_time']);
    expect(new Set(calls.map((call) => call.id)).size).toBe(2);
    expect((await callsFor('get_weather, then get_time', { parallel_tool_calls: false })).names).toEqual([
      'get_weather',
    ]);
  });

  it('answers with text when no tool is mentioned, or only inside another word', async () => {
    expect((await callsFor('What is the weather?')).finishReason).toBe('stop');
    expect((await callsFor('forget_weather')).names).toEqual([]);
  });

  it('obeys tool_choice', async () => {
    expect((await callsFor('Hello', { tool_choice: 'required' })).names).toEqual(['get_weather']);
    expect((await callsFor('get_time', { tool_choice: 'required' })).names).toEqual(['get_time']);
    expect((await callsFor('get_time', { tool_choice: 'none' })).names).toEqual([]);
    const named = { type: 'function' as const, function: { name: 'get_time' } };
    expect((await callsFor('Hello', { tool_choice: named })).names).toEqual(['get_time']);
  });

  it('quotes the results of tools in its text', async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [
      { role: 'user', content: 'Use get_weather' },
      {
        role: 'assistant',
        tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'sunny, 21 degrees' },
    ];
    const answer = await sdk(sandbox.current).chat.completions.create({ model: 'sandbox-small', messages, tools });
    expect(answer.choices[0]?.finish_reason).toBe('stop');
    expect(answer.choices[0]?.message.content).toContain('sunny, 21 degrees');
  });
});

describe('a streamed tool call', () => {
  it('comes in fragments that the SDK puts together to the same call as the plain answer', async () => {
    const { answer } = await callsFor('get_weather and get_time');
    let fragments = 0;
    const stream = sdk(sandbox.current).chat.completions.stream({
      model: 'sandbox-small',
      messages: [{ role: 'user', content: 'get_weather and get_time' }],
      tools,
      stream_options: { include_usage: true },
    });
    stream.on('tool_calls.function.arguments.delta', () => fragments++);
    const streamed = await stream.finalChatCompletion();
    expect(fragments).toBeGreaterThan(4);
    expect(streamed.choices[0]?.message.tool_calls).toMatchObject(answer.choices[0]?.message.tool_calls ?? []);
    expect(streamed.choices[0]?.finish_reason).toBe('tool_calls');
    expect(streamed.usage).toEqual(answer.usage);
  });

  it('runs through the tool loop of the SDK', async () => {
    const asked: unknown[] = [];
    const runner = sdk(sandbox.current).chat.completions.runTools({
      model: 'sandbox-small',
      messages: [{ role: 'user', content: 'Use get_weather' }],
      tools: [
        {
          type: 'function',
          function: {
            name: 'get_weather',
            description: 'The weather',
            parameters: z.toJSONSchema(Weather) as Record<string, unknown>,
            parse: (input: string) => Weather.parse(JSON.parse(input)),
            function: (input: unknown) => {
              asked.push(input);
              return 'snow until Friday';
            },
          },
        },
      ],
    });
    expect(await runner.finalContent()).toContain('snow until Friday');
    expect(asked).toHaveLength(1);
  });
});

describe('JSON answers', () => {
  it('gives a JSON object in JSON mode', async () => {
    const { choices } = await (await post(sandbox.current, { response_format: { type: 'json_object' } })).json();
    expect(JSON.parse(choices[0].message.content)).toMatchObject({ sandbox: true, model: 'sandbox-small' });
  });

  it('gives what the schema asks for', async () => {
    const Report = z.strictObject({ title: z.string(), tags: z.array(z.string()).min(2), weather: Weather });
    const schema = z.toJSONSchema(Report);
    const response_format = { type: 'json_schema', json_schema: { name: 'report', schema } };
    const { choices } = await (await post(sandbox.current, { response_format })).json();
    expect(Report.parse(JSON.parse(choices[0].message.content)).tags.length).toBeGreaterThanOrEqual(2);
  });

  it('refuses a schema that asks for endless or enormous values', async () => {
    const twice = (next: number) => ({ allOf: [{ $ref: `#/$defs/${next}` }, { $ref: `#/$defs/${next}` }] });
    const schemas = [
      { $ref: '#' },
      { $ref: '#/nowhere' },
      { type: 'array', minItems: 1e9 },
      { type: 'string', minLength: 1e9 },
      { type: 'array', minItems: 1000, items: { type: 'string', minLength: 50_000 } },
      { type: 'array', minItems: 1000, items: { const: 'x'.repeat(5000) } },
      { type: 'object', required: ['me'], properties: { me: { $ref: '#' } } },
      { $ref: '#/$defs/0', $defs: Object.fromEntries(Array.from({ length: 30 }, (_, at) => [at, twice(at + 1)])) },
      { type: 'array', minItems: 3, uniqueItems: true, items: { type: 'boolean' } },
    ];
    for (const schema of schemas) {
      const response_format = { type: 'json_schema', json_schema: { name: 'trap', schema } };
      const response = await post(sandbox.current, { response_format });
      expect(response.status, JSON.stringify(schema).slice(0, 80)).toBe(400);
      expect((await response.json()).error.param).toBe('response_format.json_schema.schema');
    }
  });
});
