import { createParser } from 'eventsource-parser';
import { UpstreamError } from '../../platform/errors.ts';

/** One event larger than this ends the stream: no provider sends such, and it would have to be kept in memory. */
const LARGEST_EVENT = 16 * 1024 * 1024;

/**
 * Turns the bytes of an event stream into the `data` of its events, however the bytes are cut: inside a character,
 * between CR and LF, several events in one read. Comments and other fields are passed over.
 */
export class SseReader {
  readonly #decoder = new TextDecoder();
  #events: string[] = [];
  #overflow = false;
  readonly #parser = createParser({
    onEvent: (event) => this.#events.push(...eventsIn(event.data)),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded') this.#overflow = true;
    },
    maxBufferSize: LARGEST_EVENT,
  });

  /** @returns the events that these bytes completed */
  push(bytes: Buffer): string[] {
    this.#parser.feed(this.#decoder.decode(bytes, { stream: true }));
    if (this.#overflow) {
      throw new UpstreamError('The provider sent an event larger than 16 MiB.', {
        provider: '',
        upstreamStatus: 200,
        attempts: 1,
      });
    }
    return this.#take();
  }

  /** At the end of the stream: an event that lacks its blank line counts, as providers do leave it out. */
  end(): string[] {
    this.#parser.feed(`${this.#decoder.decode()}\n\n`);
    return this.#take();
  }

  #take(): string[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }
}

/**
 * The events that stand in the data of one: several, where a provider leaves out the blank lines between them and each
 * line is whole by itself. Otherwise the lines are one event, written on one line as it is relayed: between the tokens
 * of JSON, which is the only place for a line to end, a space is as good.
 */
function eventsIn(data: string): string[] {
  if (!data.includes('\n')) return [data];
  const lines = data.split('\n').filter((line) => line.trim() !== '');
  return lines.length > 1 && lines.every(isWhole) ? lines : [lines.join(' ')];
}

function isWhole(line: string): boolean {
  if (line.trim() === '[DONE]') return true;
  try {
    JSON.parse(line);
    return line.trimStart().startsWith('{');
  } catch {
    return false;
  }
}
