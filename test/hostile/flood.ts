import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A provider whose every answer is a stream without end, sent as fast as it is taken. */
export interface Flood {
  url: string;
  /** Answers that are under way. */
  open(): number;
  /** Bytes that its sockets took, over all answers. */
  sentBytes(): number;
  close(): Promise<void>;
}

const EVENT = `data: ${JSON.stringify({
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta: { content: 'water '.repeat(10_000) }, finish_reason: null }],
})}\n\n`;

export async function startFlood(): Promise<Flood> {
  let open = 0;
  let sent = 0;
  const server = createServer((request, response) => {
    request.resume();
    open++;
    response.on('close', () => open--);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const pour = () => {
      do sent += EVENT.length;
      while (!response.destroyed && response.write(EVENT));
    };
    response.on('drain', pour);
    pour();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    open: () => open,
    sentBytes: () => sent,
    close: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
