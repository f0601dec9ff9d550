// A provider that remembers every call it got: what was asked, and the usage that it counted itself.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Starts it on a free port. It does what the last message says, as JSON: `tag` names the request, `tokens` is how long
 * the answer is, `everyMs` how long each of them takes, `failsAt` the provider that answers 500, and `overbills` how many
 * tokens it bills beyond those of the answer.
 *
 * A call is { provider, tag, inputTokens, outputTokens, outcome }; the outcome is RUNNING, COMPLETE, CUT or REFUSED.
 */
export async function startUpstream(provider) {
  const calls = [];
  const server = createServer({ keepAliveTimeout: 120_000 }, async (request, response) => {
    const text = await read(request).catch(() => null);
    // Cut off before it was here.
    if (text === null) return;
    if (request.method !== 'POST') return void response.writeHead(404).end();
    const body = JSON.parse(text);
    const ask = JSON.parse(body.messages.at(-1).content);
    ask.tokens = Math.min(ask.tokens, body.max_tokens ?? ask.tokens);
    const call = {
      provider,
      tag: ask.tag,
      inputTokens: 7 + ask.tag.length,
      outputTokens: ask.tokens + (ask.overbills ?? 0),
      outcome: 'RUNNING',
    };
    calls.push(call);
    response.on('close', () => {
      if (call.outcome === 'RUNNING') call.outcome = 'CUT';
    });
    await answer(response, call, ask, body.stream === true);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    calls,
    url: `http://127.0.0.1:${server.address().port}/v1`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function answer(response, call, ask, isStreamed) {
  if (ask.failsAt === call.provider) {
    call.outcome = 'REFUSED';
    response.writeHead(500, { 'content-type': 'application/json' });
    return response.end(JSON.stringify({ error: { message: 'This one fails, as it was told to.' } }));
  }
  const { inputTokens, outputTokens } = call;
  const usage = {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  };
  const head = { id: `call-${call.tag}`, created: 1, model: 'm' };
  if (!isStreamed) {
    await delay(ask.everyMs * ask.tokens);
    if (call.outcome === 'CUT') return;
    const message = { role: 'assistant', content: 'word '.repeat(ask.tokens) };
    response.writeHead(200, { 'content-type': 'application/json' });
    call.outcome = 'COMPLETE';
    return response.end(
      JSON.stringify({
        ...head,
        object: 'chat.completion',
        usage,
        choices: [{ index: 0, message, finish_reason: 'stop' }],
      }),
    );
  }
  const write = (more) =>
    response.write(`data: ${JSON.stringify({ ...head, object: 'chat.completion.chunk', ...more })}\n\n`);
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (let token = 0; token < ask.tokens && call.outcome === 'RUNNING'; token += 1) {
    write({ choices: [{ index: 0, delta: { content: 'word ' }, finish_reason: null }] });
    if (ask.everyMs > 0) await delay(ask.everyMs);
  }
  if (call.outcome === 'CUT') return;
  write({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
  write({ choices: [], usage });
  call.outcome = 'COMPLETE';
  response.end('data: [DONE]\n\n');
}
