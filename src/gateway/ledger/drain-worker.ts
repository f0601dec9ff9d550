import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { Drain } from './drain.ts';
import type { FromDrain, ToDrain, WorkerInput } from './drain-thread.ts';

/** The drain in a thread of its own: it parses and waits without taking the event loop from completions. */
const port = parentPort;
if (!port) throw new Error('This module is the entry of a worker thread.');

// On Linux this thread alone gives way to the one that serves; elsewhere it would be the whole process.
if (process.platform === 'linux') setPriority(0, 5);

const send = (message: FromDrain) => port.postMessage(message);
const drain = new Drain({
  ...(workerData as WorkerInput),
  onProgress: (progress) => send({ type: 'PROGRESS', progress }),
  onError: (message) => send({ type: 'ERROR', message }),
});
port.on('message', (message: ToDrain) => {
  if (message.type === 'GROWN') drain.extend(message.end);
  else drain.stop();
});
await drain.run();
port.close();
