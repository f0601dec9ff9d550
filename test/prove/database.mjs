// A Postgres that can be killed, and stays down until it is started again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { dataFolder, kill, postgresIn } from './folder.mjs';

const POSTGRES = fileURLToPath(new URL('postgres.mjs', import.meta.url));

export async function openDatabase() {
  const folder = await dataFolder();
  let child = null;
  return {
    /** @returns its address, which stays the same */
    async start() {
      child = spawn(process.execPath, [POSTGRES, folder.path], { stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (more) => {
        text += more;
      });
      while (!text.includes('\n')) await Promise.race([once(child.stdout, 'data'), failure(child)]);
      return text.trim();
    },
    /** First who would start it again, then all of its processes at once, in the middle of whatever they do. */
    async kill() {
      child.kill('SIGKILL');
      await once(child, 'close');
      for (const pid of await postgresIn(folder.path)) kill(pid);
    },
    async remove() {
      child?.kill('SIGKILL');
      await folder.remove();
    },
  };
}

async function failure(child) {
  const [code] = await once(child, 'exit');
  throw new Error(`Postgres did not start; exit code ${code}.`);
}
