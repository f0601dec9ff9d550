// What a dialect costs on the thread that serves everybody: putting a typical request into a provider's words, and reading
// one event of its stream. `npm run bench` prints it; nothing passes or fails by these numbers.
import { parseBody } from '../../dist/gateway/upstream/body.js';
import { DIALECTS } from '../../dist/gateway/upstream/dialects.js';

const ROUNDS = 7;

const text = 'The signalman answers the bell, sets the road, and pulls off the starter for the up express. '.repeat(4);
const tool = (name) => ({
  type: 'function',
  function: {
    name,
    description: 'Looks something up.',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer' } },
      required: ['city'],
    },
  },
});
/** Ten messages with tools: what an assistant sends in the middle of a conversation. */
const chat = {
  model: 'default',
  stream: true,
  temperature: 0.7,
  max_completion_tokens: 1_000,
  tools: [tool('get_weather'), tool('get_trains')],
  messages: [
    { role: 'system', content: text },
    ...Array.from({ length: 3 }, (_, turn) => [
      { role: 'user', content: text },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: `call_${turn}`, type: 'function', function: { name: 'get_weather', arguments: '{"city":"Bern"}' } },
        ],
      },
      { role: 'tool', tool_call_id: `call_${turn}`, content: '{"degrees":21}' },
    ]).flat(),
  ],
};
const request = {
  kind: 'CUSTOM',
  body: parseBody(Buffer.from(JSON.stringify(chat))),
  model: { name: 'claude-sonnet-4-6', maxOutputTokens: 64_000 },
  isStreamed: true,
  wantsUsage: true,
  requestId: '01930000-0000-7000-8000-000000000000',
  startedAt: 0,
  images: new Map(),
};

/** An event that brings a token, as each provider sends it, and what comes before the first of them. */
const STREAMS = {
  OPENAI: {
    before: [],
    event: JSON.stringify({
      id: 'chatcmpl-1',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'gpt',
      choices: [{ index: 0, delta: { content: ' signal' }, logprobs: null, finish_reason: null }],
    }),
  },
  ANTHROPIC: {
    before: [
      '{"type":"message_start","message":{"id":"msg_1","model":"claude","usage":{"input_tokens":9,"output_tokens":1}}}',
      '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
    ],
    event: '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" signal"}}',
  },
  GEMINI: {
    before: [],
    event: JSON.stringify({
      candidates: [{ content: { parts: [{ text: ' signal' }], role: 'model' }, index: 0 }],
      usageMetadata: {
        promptTokenCount: 9,
        totalTokenCount: 9,
        promptTokensDetails: [{ modality: 'TEXT', tokenCount: 9 }],
      },
      modelVersion: 'gemini',
      responseId: 'r',
    }),
  },
};

/** Microseconds of one call: the median of several rounds. */
function time(calls, work) {
  const rounds = Array.from({ length: ROUNDS }, () => {
    const startedAt = performance.now();
    for (let call = 0; call < calls; call++) work();
    return ((performance.now() - startedAt) * 1_000) / calls;
  });
  return rounds.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)];
}

console.log(
  `Dialects, in µs on this machine (a request of ${request.body.bytes.length} bytes, medians of ${ROUNDS})\n`,
);
console.log('dialect      request   event of a stream');
for (const [name, dialect] of Object.entries(DIALECTS)) {
  const { before, event } = STREAMS[name];
  const write = time(5_000, () => dialect.prepare(request));
  const reader = dialect.prepare(request).openStream();
  for (const one of before) reader.push(one);
  const read = time(50_000, () => reader.push(event));
  console.log(`${name.padEnd(12)} ${write.toFixed(1).padStart(7)}   ${read.toFixed(2).padStart(8)}`);
}
console.log();
