import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Runs a short form of a proof. */
export async function prove(name: string, ...args: string[]): Promise<{ code: number; text: string }> {
  const script = fileURLToPath(new URL(`../prove/${name}.mjs`, import.meta.url));
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more) => {
      text += more;
    });
  const [code] = await once(child, 'close');
  return { code, text };
}
