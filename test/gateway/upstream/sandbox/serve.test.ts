import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const SERVE = fileURLToPath(new URL('../../../../dist/gateway/upstream/sandbox/serve.js', import.meta.url));

function serve(...args: string[]): ChildProcess {
  return spawn(process.execPath, [SERVE, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

it('runs as a process that prints its URL, answers, and ends on SIGTERM with code 0', async () => {
  const child = serve('--port', '0');
  const [line] = await once(createInterface({ input: child.stdout ?? process.stdin }), 'line');
  const { url, port } = JSON.parse(line);
  expect(url).toBe(`http://127.0.0.1:${port}/v1`);
  expect((await (await fetch(`${url}/models`)).json()).object).toBe('list');
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

it('says in one sentence that a port is wrong', async () => {
  const child = serve('--port', 'many');
  const [line] = await once(createInterface({ input: child.stderr ?? process.stdin }), 'line');
  expect(line).toBe('--port must be a number from 0 to 65535, not "many".');
  expect(await once(child, 'exit')).toEqual([1, null]);
});
