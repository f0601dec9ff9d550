import type { ChatCall } from './dialect.ts';
import type { SandboxRequest } from './request.ts';

/** A body that has been sent, and what it takes to send it again. */
export interface ReadyAnswer {
  id: string;
  model: string;
  isStream: boolean;
  body: Buffer;
}

const MOST_ANSWERS = 200;
const LARGEST_KEY_BYTES = 4096;
const LARGEST_BODY_BYTES = 65_536;

/**
 * Remembers the last short answers by the bytes that asked for them. An answer follows from its request alone, so a
 * benchmark that repeats its requests measures what stands before the sandbox and not how text is made up.
 */
export class Recall {
  private readonly answers = new Map<string, ReadyAnswer>();

  find(key: string | null): ReadyAnswer | undefined {
    return key === null ? undefined : this.answers.get(key);
  }

  keep(key: string | null, answer: ReadyAnswer): void {
    if (key === null || answer.body.length > LARGEST_BODY_BYTES) return;
    this.answers.set(key, answer);
    for (const oldest of this.answers.keys()) {
      if (this.answers.size <= MOST_ANSWERS) return;
      this.answers.delete(oldest);
    }
  }
}

/** Names a request by its bytes and what is said beside them; null for one that is too large to be kept. */
export function recallKey(bytes: Buffer, { dialect, named, headers }: ChatCall): string | null {
  if (bytes.length > LARGEST_KEY_BYTES) return null;
  const beside = named ? `${named.model} ${named.isStream}` : (headers['anthropic-version'] ?? '');
  return `${dialect.name} ${beside}\n${headers['x-sandbox'] ?? ''}\n${bytes.toString('latin1')}`;
}

/** Whether an answer to the request is sent at once and as it should be, always. */
export function isPlain({ controls, fault, firstTokenMs }: SandboxRequest): boolean {
  const { latencyMs, tokensPerSecond, times, forMs } = controls;
  const isAtOnce = !latencyMs && firstTokenMs === 0 && !tokensPerSecond;
  return isAtOnce && fault === null && times === undefined && forMs === undefined;
}
