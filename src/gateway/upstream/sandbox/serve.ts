import { parseArgs } from 'node:util';
import { startSandbox } from './sandbox.ts';

/** The sandbox as a process of its own: `serve.js [--port 0] [--host 127.0.0.1]` prints its URL as one line of JSON. */
const { values } = parseArgs({
  options: { port: { type: 'string', default: '0' }, host: { type: 'string', default: '127.0.0.1' } },
});
const port = Number(values.port);
if (!Number.isInteger(port) || port < 0 || port > 65_535) {
  console.error(`--port must be a number from 0 to 65535, not "${values.port}".`);
  process.exit(1);
}
const sandbox = await startSandbox({ port, host: values.host });
console.log(JSON.stringify({ url: sandbox.url, port: sandbox.port }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void sandbox.close());
