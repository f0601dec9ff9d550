import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ServerOptions } from 'graphql-ws';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocket, WebSocketServer } from 'ws';

/** A server put together as the documentation of its parts says. */
export interface Stock {
  /** Of its HTTP and WebSocket endpoint. */
  url: string;
  http: Server;
  /** Ends the sockets as graphql-ws does. */
  dispose(): unknown;
  /** Lets go of everything, however it was left. */
  close(): void;
}

/**
 * The documented recipe: `useServer` of graphql-ws on a `WebSocketServer` of ws, beside a handler for HTTP.
 * @param handler such as Yoga; none: WebSocket only
 */
export async function startStock(options: ServerOptions, handler?: RequestListener): Promise<Stock> {
  const http = createServer(handler);
  const webSockets = new WebSocketServer({ server: http, path: '/graphql' });
  const { dispose } = useServer(options as never, webSockets);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    http,
    dispose,
    close() {
      for (const socket of webSockets.clients) socket.terminate();
      http.closeAllConnections();
      http.close();
    },
  };
}

export interface Message {
  type: string;
  id?: string;
  payload?: unknown;
}

/** A socket that speaks graphql-transport-ws word by word. It goes with `using`. */
export class Speaker implements Disposable {
  readonly socket: WebSocket;
  /** The code it was closed with. */
  readonly closed: Promise<number>;
  readonly #received: Message[] = [];
  #wake: () => void = () => undefined;

  constructor(socket: WebSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', resolve));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#wake());
    socket.on('message', (data) => {
      this.#received.push(JSON.parse(String(data)));
      this.#wake();
    });
  }

  /** Connects to the server at `url` and introduces itself. */
  static async connect(url: string, parameters: object = {}, origin?: string): Promise<Speaker> {
    const options = origin ? { origin } : {};
    const speaker = new Speaker(new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', options));
    await once(speaker.socket, 'open');
    speaker.send({ type: 'connection_init', payload: parameters });
    const { type } = await speaker.next();
    if (type !== 'connection_ack') throw new Error(`not acknowledged: ${type}`);
    return speaker;
  }

  send(message: Message): void {
    this.socket.send(JSON.stringify(message));
  }

  subscribe(id: string, query: string, variables: object = {}): void {
    this.send({ type: 'subscribe', id, payload: { query, variables } });
  }

  /** The next message there is for the operation; of type `closed` once the socket is. */
  async next(id?: string): Promise<Message> {
    for (;;) {
      const index = this.#received.findIndex((message) => message.id === id);
      if (index >= 0) return this.#received.splice(index, 1)[0] as Message;
      if (this.socket.readyState === WebSocket.CLOSED) return { type: 'closed' };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  [Symbol.dispose](): void {
    this.socket.terminate();
  }
}

/** Whether a promise resolves or rejects in time. */
export async function settlesWithin(promise: Promise<unknown>, limitMs: number): Promise<boolean> {
  const settled = promise.then(
    () => true,
    () => true,
  );
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, limitMs, false);
  });
  const result = await Promise.race([settled, late]);
  clearTimeout(timer);
  return result;
}
