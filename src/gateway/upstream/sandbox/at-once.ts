import type { Client } from './client.ts';
import type { Controls } from './controls.ts';
import type { SandboxDialect } from './dialect.ts';
import type { Failure } from './failure.ts';
import type { Fault } from './faults.ts';

/** A request for anything, as far as its failing goes. */
export interface Doomed {
  dialect: Pick<SandboxDialect, 'writeError'>;
  controls: Controls;
  fault: Fault | null;
}

/** What the faults that leave no answer need to know of a prompt. */
export interface Prompt {
  tokens: number;
  /** The last message is the assistant's. */
  isPrefilled: boolean;
}

/** Plays the faults that leave no answer. */
export function failsAtOnce(doomed: Doomed, prompt: Prompt, client: Client): boolean {
  const { dialect, fault, controls } = doomed;
  switch (fault) {
    case 'status': {
      const { status = 500, retryAfter = null } = controls;
      client.refuse(dialect.writeError({ type: 'status', status, retryAfter }), 'faulted');
      return true;
    }
    case 'context-length':
      client.refuse(dialect.writeError({ type: 'context-length', promptTokens: prompt.tokens }), 'faulted');
      return true;
    case 'prefill':
      if (prompt.isPrefilled) client.refuse(dialect.writeError({ type: 'prefill' }), 'faulted');
      return prompt.isPrefilled;
    case 'error-body':
      client.answer(200, bodyOfFailure(doomed), {}, 'faulted');
      return true;
    case 'reset':
      client.reset();
      return true;
    case 'silent':
      return true;
    default:
      return false;
  }
}

/**
 * The error that stands in or behind an answer of status 200: of the status that was asked for, or a plain failure.
 * @param what the sandbox did, for the message of the latter
 */
export function failureOfAnswer({ status }: Controls, what: string): Failure {
  if (status !== undefined) return { type: 'status', status, retryAfter: null };
  return { type: 'failed', message: `The sandbox ${what}, as asked.` };
}

/** The body of an error that comes with status 200. */
export function bodyOfFailure({ dialect, controls }: Doomed): string {
  return dialect.writeError(failureOfAnswer(controls, 'failed')).body;
}
