// Watches `metricsUpdated` over many sockets, on a thread of its own, and reports when each event arrived at each.
import { parentPort, workerData } from 'node:worker_threads';
import { WebSocket } from 'ws';

const { url, authorization, count, query } = workerData;

/** @type {number[][]} By watcher: when its events came, in ms since 1970. */
const arrivals = [];
const sockets = [];

for (let watcher = 0; watcher < count; watcher++) {
  const times = [];
  arrivals.push(times);
  const socket = new WebSocket(url, 'graphql-transport-ws', { perMessageDeflate: false });
  sockets.push(socket);
  await new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } })));
    socket.on('message', (data) => {
      const message = JSON.parse(String(data));
      if (message.type === 'connection_ack') {
        socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
        return resolve();
      }
      if (message.type === 'ping') return socket.send('{"type":"pong"}');
      if (message.type !== 'next' || message.payload.errors) throw new Error(String(data));
      times.push(performance.timeOrigin + performance.now());
    });
  });
}

parentPort.postMessage('watching');
parentPort.on('message', () => {
  for (const socket of sockets) socket.terminate();
  parentPort.postMessage(arrivals);
});
