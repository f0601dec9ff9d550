import fc from 'fast-check';

const text = fc.oneof(fc.string(), fc.string({ unit: 'grapheme' }), fc.constant('Hello, Signalbox!'));
const someText = text.filter((one) => one.trim() !== '');
const name = fc.stringMatching(/^[a-zA-Z_][\w-]{0,20}$/);
const image = fc.oneof(
  fc.base64String({ minLength: 4 }).map((data) => `data:image/png;base64,${data}`),
  fc.constant('https://example.com/picture.jpg'),
);
const part = fc.oneof(
  someText.map((one) => ({ type: 'text', text: one })),
  fc
    .record({ url: image, detail: fc.constantFrom('auto', 'low', 'high') })
    .map((image_url) => ({ type: 'image_url', image_url })),
  fc.base64String({ minLength: 4 }).map((data) => ({
    type: 'file',
    file: { filename: 'a.pdf', file_data: `data:application/pdf;base64,${data}` },
  })),
);
const content = fc.oneof(someText, fc.array(part, { minLength: 1, maxLength: 3 }));
const object = fc.dictionary(name, fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null)), {
  maxKeys: 4,
});

/** What a tool was called with, and what it gave. */
const round = fc
  .array(
    fc.record({
      name,
      given: object,
      result: fc.oneof(
        someText,
        object.map((one) => JSON.stringify(one)),
      ),
    }),
    {
      minLength: 1,
      maxLength: 3,
    },
  )
  .chain((calls) =>
    fc.record({
      calls: fc.constant(calls),
      content: fc.option(someText),
      isShuffled: fc.boolean(),
      isSigned: fc.boolean(),
    }),
  )
  .map(({ calls, content, isShuffled, isSigned }) => {
    const ids = calls.map((_, at) => `call_${at}`);
    const results = calls.map(({ result }, at) => ({ role: 'tool', tool_call_id: ids[at], content: result }));
    return [
      {
        role: 'assistant',
        content,
        tool_calls: calls.map((call, at) => ({
          id: ids[at],
          type: 'function',
          function: { name: call.name, arguments: Object.keys(call.given).length ? JSON.stringify(call.given) : '' },
          ...(isSigned ? { extra_content: { google: { thought_signature: 'c2ln' } } } : {}),
        })),
        ...(isSigned
          ? { reasoning_details: [{ type: 'reasoning.text', text: 'Hm.', signature: 'c2ln', index: 0 }] }
          : {}),
      },
      ...(isShuffled ? results.toReversed() : results),
    ];
  });

const turn = fc.oneof(
  content.map((one) => [{ role: 'user', content: one }]),
  someText.map((one) => [{ role: 'assistant', content: one }]),
  someText.map((one) => [{ role: fc.sample(fc.constantFrom('system', 'developer'), 1)[0], content: one }]),
  round,
);

const messages = fc
  .record({ first: fc.option(someText), turns: fc.array(turn, { maxLength: 4 }), last: content })
  .map(({ first, turns, last }) => [
    ...(first === null ? [] : [{ role: 'system', content: first }]),
    ...turns.flat(),
    { role: 'user', content: last },
  ]);

const schema = fc
  .dictionary(name, fc.constantFrom({ type: 'string' }, { type: 'integer' }, { type: 'boolean' }), { maxKeys: 4 })
  .map((properties) => ({
    type: 'object',
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  }));
const tools = fc
  .uniqueArray(fc.record({ name, description: fc.option(text), parameters: fc.option(schema), strict: fc.boolean() }), {
    selector: (tool) => tool.name,
    minLength: 1,
    maxLength: 4,
  })
  .map((all) =>
    all.map(({ parameters, description, ...tool }) => ({
      type: 'function',
      function: { ...tool, ...(description === null ? {} : { description }), ...(parameters ? { parameters } : {}) },
    })),
  );

/** Chat completion bodies over the whole range of OpenAI's parameters, all of them right. */
export const chatBodies: fc.Arbitrary<Record<string, unknown>> = fc
  .record({
    messages,
    tools: fc.option(tools),
    rest: fc.record(
      {
        max_tokens: fc.integer({ min: 1, max: 100_000 }),
        max_completion_tokens: fc.integer({ min: 1, max: 100_000 }),
        temperature: fc.double({ min: 0, max: 2, noNaN: true }),
        top_p: fc.double({ min: 0, max: 1, noNaN: true }),
        stop: fc.oneof(
          someText,
          fc.constant(' '),
          fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 4 }),
        ),
        seed: fc.integer(),
        presence_penalty: fc.double({ min: -2, max: 1.9, noNaN: true }),
        frequency_penalty: fc.double({ min: -2, max: 1.9, noNaN: true }),
        logit_bias: fc.constant({ 50256: -100 }),
        logprobs: fc.boolean(),
        top_logprobs: fc.integer({ min: 0, max: 20 }),
        user: text,
        reasoning_effort: fc.constantFrom('none', 'minimal', 'low', 'medium', 'high', 'xhigh'),
        parallel_tool_calls: fc.boolean(),
        store: fc.boolean(),
        metadata: fc.constant({ run: '1' }),
        service_tier: fc.constantFrom('auto', 'default', 'flex'),
        response_format: fc.oneof(
          fc.constant({ type: 'text' }),
          fc.constant({ type: 'json_object' }),
          schema.map((one) => ({ type: 'json_schema', json_schema: { name: 'answer', strict: true, schema: one } })),
        ),
        stream: fc.boolean(),
        verbosity: fc.constantFrom('low', 'high'),
        modalities: fc.constant(['text']),
        prediction: fc.constant({ type: 'content', content: 'x' }),
        web_search_options: fc.constant({}),
        unknown_extra: fc.jsonValue({ maxDepth: 1 }),
      },
      { requiredKeys: [] },
    ),
  })
  .chain(({ messages: said, tools: given, rest }) => {
    const names = (given ?? []).map((tool) => ({ type: 'function', function: { name: tool.function.name } }));
    return fc.constantFrom('auto', 'none', 'required', null, ...names).map((choice) => ({
      model: 'm',
      messages: said,
      ...rest,
      ...(given ? { tools: given, ...(choice === null ? {} : { tool_choice: choice }) } : {}),
    }));
  });
