import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { invalid, PayloadTooLargeError } from '../../platform/errors.ts';

/**
 * Reads a JSON object from a request's body.
 * @throws PayloadTooLargeError when it is longer than `limitBytes`; ValidationError when it is not UTF-8 or not a JSON
 * object with members.
 */
export async function readJsonBody(request: IncomingMessage, limitBytes: number): Promise<object> {
  const bytes = await readBytes(request, limitBytes);
  if (!isUtf8(bytes)) throw invalid('', 'The body is not valid UTF-8.');
  let body: unknown;
  try {
    body = JSON.parse(bytes.toString());
  } catch {
    throw invalid('', 'The body is not JSON.');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body) || Object.keys(body).length === 0) {
    throw invalid('', 'The body must be a JSON object like {"query": "{ me { email } }", "variables": {}}.');
  }
  return body;
}

async function readBytes(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Not destroyed on leaving the loop: the socket is still needed for the answer.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    length += chunk.length;
    if (length <= limitBytes) chunks.push(chunk);
    // Most clients read the answer only after they have sent everything; those that never end are cut off.
    else if (length > 2 * limitBytes) break;
  }
  if (length > limitBytes) throw new PayloadTooLargeError('The body', limitBytes);
  return Buffer.concat(chunks);
}
