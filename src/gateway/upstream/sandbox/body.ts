import type { IncomingMessage } from 'node:http';
import { PayloadTooLargeError } from '../../../platform/errors.ts';

const LARGEST_BODY_BYTES = 32 * 1024 * 1024;
/** A body over the limit is read and thrown away, so that its sender gets to the answer; but not for ever. */
const PATIENCE_BYTES = 4 * LARGEST_BODY_BYTES;

/**
 * The whole body of a request.
 * @returns null when the client left before its end.
 * @throws PayloadTooLargeError over 32 MiB.
 */
export function readBody(request: IncomingMessage): Promise<Buffer | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= LARGEST_BODY_BYTES) chunks.push(chunk);
      else chunks.length = 0;
      if (size > PATIENCE_BYTES) request.destroy();
    });
    request.on('end', () => {
      if (size > LARGEST_BODY_BYTES) reject(new PayloadTooLargeError('The body', LARGEST_BODY_BYTES));
      else resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
    });
    request.on('error', () => resolve(null));
    request.on('close', () => resolve(null));
  });
}
