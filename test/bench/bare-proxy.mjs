// The least a proxy can do: no key, no journal, no ledger. `node bare-proxy.mjs <upstream origin>` prints its port.
import { createServer } from 'node:http';
import { Agent } from 'undici';

const agent = new Agent({ connections: 2048 });
const origin = process.argv[2];
const server = createServer((request, response) => {
  const options = {
    origin,
    path: request.url,
    method: request.method,
    headers: { 'content-type': 'application/json' },
    body: request,
  };
  agent
    .stream(options, ({ statusCode, headers }) => response.writeHead(statusCode, headers))
    .catch(() => response.destroy());
});
server.listen(0, '127.0.0.1', () => console.log(JSON.stringify({ port: server.address().port })));
