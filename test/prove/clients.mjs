// Clients that send one request after the other, and remember what they saw of each answer.
import { setTimeout as delay } from 'node:timers/promises';
import { API_KEY } from './server.mjs';

/** A whole number from `from` to `to`. */
export function random(from, to) {
  return from + Math.floor(Math.random() * (to - from + 1));
}

/** Streams, whole completions, fast and slow ones, some that fail over, and some whose client leaves. */
const KINDS = [
  { clients: 24, ask: () => ({ isStreamed: true, tokens: random(5, 50), everyMs: 15 }) },
  { clients: 4, ask: () => ({ isStreamed: true, tokens: random(1, 20), everyMs: 0 }) },
  { clients: 6, ask: () => ({ isStreamed: false, tokens: random(1, 20), everyMs: 15 }) },
  {
    clients: 6,
    ask: () => ({ isStreamed: Math.random() < 0.5, tokens: random(1, 20), everyMs: 10, failsAt: 'first' }),
  },
  { clients: 4, ask: () => ({ isStreamed: true, tokens: 60, everyMs: 15, leavesAfterMs: random(20, 500) }) },
];

/**
 * Lets them send to a server until `stop`, or until it is gone. A sighting is { tag, outcome, requestId, usage, cost }:
 * COMPLETE is an answer up to its end, LEFT one that the client gave up, FAILED an error that it was told, and BROKEN a
 * connection that broke.
 * @param name begins the tag of every request
 */
export function startClients(url, name) {
  const sightings = [];
  let isStopped = false;
  let sent = 0;
  const run = async (kind) => {
    while (!isStopped) {
      sent += 1;
      const sighting = await send(url, { tag: `${name}-${sent}`, ...kind.ask() });
      sightings.push(sighting);
      if (sighting.outcome === 'BROKEN') return;
      // A server that refuses at once is not asked as fast as it can.
      if (sighting.outcome === 'FAILED') await delay(50);
    }
  };
  const running = KINDS.flatMap((kind) => Array.from({ length: kind.clients }, () => run(kind)));
  return {
    sightings,
    /** Waits until so many requests have ended, on a slow machine not for longer than 10 s. */
    async answered(count) {
      for (const end = performance.now() + 10_000; sightings.length < count && performance.now() < end; )
        await delay(5);
    },
    /** Lets each of them finish what it has sent. */
    async stop() {
      isStopped = true;
      await Promise.all(running);
      return sightings;
    },
  };
}

/**
 * Sends one request and sees what becomes of it.
 * @param maxTokens the most that it may be answered; 100 if nothing is said
 */
export async function send(url, { isStreamed, leavesAfterMs, maxTokens = 100, ...ask }) {
  const sighting = { tag: ask.tag, outcome: 'BROKEN', requestId: null, usage: null, cost: null, error: null };
  const leaving = new AbortController();
  const timer = leavesAfterMs && setTimeout(() => leaving.abort(), leavesAfterMs);
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      signal: leaving.signal,
      headers: {
        authorization: `Bearer ${API_KEY}`,
        'content-type': 'application/json',
        'x-signalbox-tags': `test=${ask.tag}`,
      },
      body: JSON.stringify({
        model: 'default',
        messages: [{ role: 'user', content: JSON.stringify(ask) }],
        max_tokens: maxTokens,
        ...(isStreamed ? { stream: true, stream_options: { include_usage: true } } : {}),
      }),
    });
    sighting.requestId = response.headers.get('x-signalbox-request-id');
    const text = await response.text();
    return { ...sighting, ...(isStreamed && response.status === 200 ? readStream(text) : readWhole(response, text)) };
  } catch (error) {
    if (leaving.signal.aborted) return { ...sighting, outcome: 'LEFT' };
    // fetch and its body throw this when the connection breaks.
    if (error instanceof TypeError) return sighting;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function readWhole(response, text) {
  const body = JSON.parse(text);
  if (response.status !== 200)
    return { outcome: 'FAILED', status: response.status, error: `${response.status} ${body.error.message}` };
  return { outcome: 'COMPLETE', usage: toUsage(body.usage), cost: response.headers.get('x-signalbox-cost') };
}

function readStream(text) {
  const events = text.split('\n\n').flatMap((event) => (event.startsWith('data: ') ? [event.slice(6)] : []));
  const last = events.at(-1);
  if (last === '[DONE]') {
    const { usage, signalbox } = JSON.parse(events.at(-2) ?? '{}');
    return { outcome: 'COMPLETE', usage: toUsage(usage), cost: signalbox.cost };
  }
  try {
    const { error } = JSON.parse(last ?? '{}');
    return error ? { outcome: 'FAILED', error: error.message } : {};
  } catch {
    // Broken off in the middle of an event.
    return {};
  }
}

function toUsage(usage) {
  return { inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens };
}
