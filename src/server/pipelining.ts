import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * Tells an answer that waits behind another one on its socket (HTTP pipelining) when the socket has gone. Node tells only
 * the answer that is being sent; the others would wait for a client that left, with all they hold.
 */
export function closeWithSocket({ socket }: IncomingMessage, response: ServerResponse): void {
  if (response.socket) return;
  const close = () => {
    // Its turn has come: Node tells it.
    if (response.socket) return;
    response.destroy();
    response.emit('close');
  };
  socket.once('close', close);
  response.once('close', () => socket.off('close', close));
}
