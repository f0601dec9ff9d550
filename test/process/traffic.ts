import { API_KEY } from './server-process.ts';

/** What a client asks for. */
export interface Ask {
  /** Names the request in the log, so that it is found there also when the client saw no answer. */
  tag: string;
  isStreamed: boolean;
  outputTokens: number;
  /** 0: as fast as it goes. */
  tokensPerSecond: number;
}

/** What a client saw of its request. */
export interface Sighting extends Ask {
  /** From the answer's headers; null: it saw none. */
  requestId: string | null;
  /** COMPLETE: `[DONE]`, or a whole 200. FAILED: it was told an error. BROKEN: the connection broke. */
  outcome: 'COMPLETE' | 'FAILED' | 'BROKEN';
  /** Of a COMPLETE one. */
  usage: { inputTokens: number; outputTokens: number } | null;
  cost: string | null;
  /** The error it was told. */
  errorCode: string | null;
}

interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
}

/** Sends one request as an OpenAI client does. `onBytes` is told of what arrives. */
export async function send(url: string, ask: Ask, onBytes: (length: number) => void = () => {}): Promise<Sighting> {
  const sighting: Sighting = {
    ...ask,
    ...{ requestId: null, outcome: 'BROKEN', usage: null, cost: null, errorCode: null },
  };
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${API_KEY}`,
        'content-type': 'application/json',
        'x-signalbox-tags': `test=${ask.tag}`,
      },
      body: JSON.stringify({
        model: 'default',
        messages: [{ role: 'user', content: `Tell me about signal box ${ask.tag}.` }],
        ...(ask.isStreamed ? { stream: true, stream_options: { include_usage: true } } : {}),
        sandbox: { outputTokens: ask.outputTokens, tokensPerSecond: ask.tokensPerSecond },
      }),
    });
    sighting.requestId = response.headers.get('x-signalbox-request-id');
    const text = await readAll(response, onBytes);
    return {
      ...sighting,
      ...(response.status === 200 && ask.isStreamed ? readStream(text) : readBody(response, text)),
    };
  } catch (error) {
    // fetch and its body throw this when the connection breaks; anything else is a mistake in this file.
    if (error instanceof TypeError) return sighting;
    throw error;
  }
}

async function readAll(response: Response, onBytes: (length: number) => void): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const bytes of response.body ?? []) {
    onBytes(bytes.length);
    text += decoder.decode(bytes, { stream: true });
  }
  return text;
}

function readBody(response: Response, text: string): Partial<Sighting> {
  const answer = JSON.parse(text);
  if (response.status !== 200) return { outcome: 'FAILED', errorCode: answer.error.code };
  return { outcome: 'COMPLETE', usage: toUsage(answer.usage), cost: response.headers.get('x-signalbox-cost') };
}

function readStream(text: string): Partial<Sighting> {
  const events = text.split('\n\n').flatMap((event) => (event.startsWith('data: ') ? [event.slice(6)] : []));
  const last = events.at(-1);
  if (last === '[DONE]') {
    const { usage, signalbox } = JSON.parse(events.at(-2) ?? '');
    return { outcome: 'COMPLETE', usage: toUsage(usage), cost: signalbox.cost };
  }
  const { error } = JSON.parse(last ?? '{}');
  return error ? { outcome: 'FAILED', errorCode: error.code } : {};
}

function toUsage(usage: Usage) {
  return { inputTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens };
}

/** Clients that send one request after the other until they are told to stop or cannot reach the server. */
export class Traffic {
  readonly sightings: Sighting[] = [];
  /** Requests that were sent and whose answers are not over. */
  running = 0;
  /** Bytes of answers that have arrived. */
  received = 0;
  readonly #url: string;
  readonly #name: string;
  readonly #clients: Promise<void>[] = [];
  #sent = 0;
  #isStopped = false;

  /** @param name begins the tag of every request. */
  constructor(url: string, name: string) {
    this.#url = url;
    this.#name = name;
  }

  /** Adds clients. `ask` says what their next request is. */
  add(clients: number, ask: () => Omit<Ask, 'tag'>): this {
    for (let client = 0; client < clients; client += 1) this.#clients.push(this.#run(ask));
    return this;
  }

  /** Lets every client finish what it has sent. */
  async stop(): Promise<Sighting[]> {
    this.#isStopped = true;
    await Promise.all(this.#clients);
    return this.sightings;
  }

  async #run(ask: () => Omit<Ask, 'tag'>): Promise<void> {
    while (!this.#isStopped) {
      this.running += 1;
      this.#sent += 1;
      const sighting = await send(this.#url, { ...ask(), tag: `${this.#name}-${this.#sent}` }, (length) => {
        this.received += length;
      });
      this.running -= 1;
      this.sightings.push(sighting);
      if (sighting.outcome === 'BROKEN') return;
    }
  }
}

/** A whole number from `from` to `to`. */
export function random(from: number, to: number): number {
  return from + Math.floor(Math.random() * (to - from + 1));
}
