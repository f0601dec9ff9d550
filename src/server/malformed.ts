import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { invalid, type SignalboxError, type ValidationError } from '../platform/errors.ts';
import { uuidv7 } from '../platform/ids.ts';
import { toOpenAIError } from './openai/errors.ts';

/*
 * Requests that Node or Fastify refuse before any route sees them, told in the same shape as all other failures.
 */

/** Bytes that are no HTTP request, or not one whole request in time: an answer if none is under way, then the end. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  // The same look that Node takes: in the middle of an answer, another one would be read as a part of it.
  const { _httpMessage: current } = socket as Socket & { _httpMessage?: ServerResponse | null };
  if (error.code === 'ECONNRESET' || !socket.writable || current?.headersSent) {
    socket.destroy();
    return;
  }
  const [status, message] = refusalOf(error);
  const body = bodyOf(invalid('', message));
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nconnection: close\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    // Whatever else it sends is not read.
    () => socket.destroy(),
  );
}

function refusalOf({ code }: NodeJS.ErrnoException): [status: number, message: string] {
  if (code === 'HPE_HEADER_OVERFLOW') return [431, 'The headers are too large.'];
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return [408, 'The request did not arrive in time.'];
  return [400, 'This is not a valid HTTP request.'];
}

/** An address that cannot be decoded. */
export function answerFrameworkError(_error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  void reply.status(400).send(toOpenAIError(invalid('', 'The address is not valid.'), request.id));
}

/** `Expect` with anything but `100-continue`. */
export function answerExpectation(_request: IncomingMessage, response: ServerResponse): void {
  const body = bodyOf(invalid('', 'Of all expectations only "100-continue" can be met.'));
  response.writeHead(417, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  });
  response.end(body);
}

/** What is wrong with HTTP/1.1 without `Host` (RFC 9112, 3.2). */
export function hostError({ headers, httpVersion }: IncomingMessage): ValidationError | undefined {
  return headers.host === undefined && httpVersion === '1.1' ? invalid('', 'The header "host" is missing.') : undefined;
}

function bodyOf(error: SignalboxError): string {
  return JSON.stringify(toOpenAIError(error, uuidv7()));
}
