import { bodyOfFailure, type Doomed } from './at-once.ts';
import type { Client } from './client.ts';

/**
 * Answers with a JSON body, or with what is left of it by a fault.
 * @param share how much of the body a fault in the middle lets through, from 0 to 1.
 */
export async function sendBody(body: Buffer, share: number, doomed: Doomed, client: Client): Promise<void> {
  const { fault } = doomed;
  const part = () => body.subarray(0, Math.min(body.length - 1, Math.floor(body.length * share)));
  switch (fault) {
    case 'error-event':
    case 'mid-error':
      return client.answer(200, bodyOfFailure(doomed), {}, 'faulted');
    case 'malformed':
      return client.answer(200, body.subarray(0, -1), {}, 'faulted');
    case 'end':
      return client.answer(200, part(), {}, 'faulted');
    case 'cut':
    case 'stall':
      client.begin({ 'content-type': 'application/json', 'content-length': body.length }, false);
      if ((await client.flush(part())) && fault === 'cut') client.cut();
      return;
    default:
      return client.answer(200, body);
  }
}
