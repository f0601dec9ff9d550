import type { Client } from './client.ts';
import type { Controls } from './controls.ts';
import type { SandboxDialect } from './dialect.ts';
import type { Fault } from './faults.ts';

/** A request for anything, as far as its failing goes. */
export interface Doomed {
  dialect: Pick<SandboxDialect, 'writeError'>;
  controls: Controls;
  fault: Fault | null;
}

/** Plays the faults that leave no answer. */
export function failsAtOnce({ dialect, fault, controls }: Doomed, promptTokens: number, client: Client): boolean {
  switch (fault) {
    case 'status': {
      const { status = 500, retryAfter = null } = controls;
      client.refuse(dialect.writeError({ type: 'status', status, retryAfter }), 'faulted');
      return true;
    }
    case 'context-length':
      client.refuse(dialect.writeError({ type: 'context-length', promptTokens }), 'faulted');
      return true;
    case 'error-body':
      client.answer(200, playedFailure(dialect), {}, 'faulted');
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

/** The body of an error that comes with status 200. */
export function playedFailure(dialect: Doomed['dialect']): string {
  return dialect.writeError({ type: 'failed', message: 'The sandbox failed, as asked.' }).body;
}
