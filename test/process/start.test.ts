import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createDatabase } from '../kit/database.ts';
import { DataFolder, kill, type ServerProcess, seconds } from './server-process.ts';
import { send } from './traffic.ts';

const run = promisify(execFile);
const hasCurl = await run('curl', ['--version']).then(
  () => true,
  () => false,
);

const SECRETS = { JWT_SECRET: 'a secret of the tests, which is long enough', ENCRYPTION_KEY: '0'.repeat(64) };

describe('a start that cannot succeed', () => {
  /** One sentence on stderr and nothing else, exit code 1, nothing left behind. */
  async function expectRefusal(server: ServerProcess, sentence: RegExp): Promise<void> {
    const { code, stderr } = await server.exited;
    expect(stderr.trim().split('\n')).toEqual([expect.stringMatching(sentence)]);
    expect(code).toBe(1);
  }

  async function takenPort(): Promise<AsyncDisposable & { port: string }> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return { port: String(port), [Symbol.asyncDispose]: async () => void server.close() };
  }

  it('names the port that is taken and the setting, before it makes anything', async () => {
    await using folder = await DataFolder.make();
    await using taken = await takenPort();
    await expectRefusal(
      folder.start({ PORT: taken.port }),
      new RegExp(`^Signalbox did not start: .* port ${taken.port} of 127\\.0\\.0\\.1; .* with PORT\\.$`),
    );
    expect(await readdir(folder.path)).toEqual([]);
  }, 60_000);

  it('names SANDBOX_PORT when that is the one that is taken, and still shows the secrets that it has made', async () => {
    await using folder = await DataFolder.make();
    await using taken = await takenPort();
    const server = folder.start({ BOOTSTRAP_API_KEY: '', ADMIN_PASSWORD: '', SANDBOX_PORT: taken.port });
    await expectRefusal(
      server,
      new RegExp(`^Signalbox did not start: .* port ${taken.port} of 127\\.0\\.0\\.1; .* with SANDBOX_PORT\\.$`),
    );
    expect(server.stdout).toMatch(/Password {3}\S+\n.*API key {4}sbx_/);
    expect(await folder.postgresPids()).toEqual([]);
  }, 60_000);

  it('names HOST when that is no address of this machine', async () => {
    await using folder = await DataFolder.make();
    await expectRefusal(folder.start({ HOST: '192.0.2.1', PORT: '4000' }), /^Signalbox did not start: HOST must be /);
    expect(await readdir(folder.path)).toEqual([]);
  }, 60_000);

  it('says whose data directory it is, and leaves its owner alone', async () => {
    await using folder = await DataFolder.make();
    const owner = folder.start();
    const url = await owner.ready();
    const second = folder.start();
    await expectRefusal(second, new RegExp(`^Signalbox did not start: ${folder.path} is in use.*DATA_DIR`));
    const { outcome } = await send(url, { tag: 'owner', isStreamed: true, outputTokens: 3, tokensPerSecond: 0 });
    expect(outcome).toBe('COMPLETE');
  }, 60_000);

  it.each([
    ['PORT', { PORT: '70000' }],
    ['LOG_LEVEL', { LOG_LEVEL: 'loud' }],
    ['ADMIN_PASSWORD', { ADMIN_PASSWORD: 'short' }],
    ['ENCRYPTION_KEY', { ENCRYPTION_KEY: 'none' }],
    ['JWT_SECRET', { DATABASE_URL: 'postgresql://127.0.0.1/signalbox' }],
  ])(
    'names the wrong setting %s before it touches anything',
    async (name, env) => {
      await using folder = await DataFolder.make();
      await expectRefusal(folder.start(env), new RegExp(`^Signalbox did not start: ${name} (must be|is required) `));
      expect(await readdir(folder.path)).toEqual([]);
    },
    60_000,
  );

  it('says that the database of DATABASE_URL cannot be reached', async () => {
    await using folder = await DataFolder.make();
    await using taken = await takenPort();
    const port = taken.port;
    await taken[Symbol.asyncDispose]();
    await expectRefusal(
      folder.start({ ...SECRETS, DATABASE_URL: `postgresql://nobody:secret@127.0.0.1:${port}/signalbox` }),
      /^Signalbox did not start: .*DATABASE_URL/,
    );
  }, 60_000);

  it('says that the database of DATABASE_URL does not exist', async () => {
    await using folder = await DataFolder.make();
    const database = await createDatabase();
    await database.drop();
    await expectRefusal(
      folder.start({ ...SECRETS, DATABASE_URL: database.url }),
      /^Signalbox did not start: .*DATABASE_URL/,
    );
  }, 60_000);
});

it('goes on with the data of a server whose Postgres outlived it', async () => {
  await using folder = await DataFolder.make();
  const first = folder.start();
  await first.ready();
  await first.end('SIGKILL');
  const survivor = await folder.postmasterPid();
  expect(await folder.postgresPids()).toContain(survivor);

  const second = folder.start();
  const url = await second.ready();
  expect(await folder.postgresPids()).not.toContain(survivor);
  const { outcome } = await send(url, { tag: 'second', isStreamed: true, outputTokens: 3, tokensPerSecond: 0 });
  expect(outcome).toBe('COMPLETE');
}, 60_000);

it('goes on with the data of a server that was killed together with its Postgres', async () => {
  await using folder = await DataFolder.make();
  const first = folder.start();
  await first.ready();
  const postmaster = await folder.postmasterPid();
  await first.end('SIGKILL');
  kill(postmaster ?? 0, 'SIGKILL');

  const second = folder.start();
  const url = await second.ready();
  const { outcome } = await send(url, { tag: 'second', isStreamed: true, outputTokens: 3, tokensPerSecond: 0 });
  expect(outcome).toBe('COMPLETE');
}, 60_000);

it('uses the database of DATABASE_URL and starts no other', async () => {
  await using folder = await DataFolder.make();
  const database = await createDatabase();
  const server = folder.start({ ...SECRETS, DATABASE_URL: database.url });
  const url = await server.ready();
  const { outcome } = await send(url, { tag: 'external', isStreamed: true, outputTokens: 3, tokensPerSecond: 0 });
  expect(outcome).toBe('COMPLETE');
  expect(await readdir(folder.path)).toEqual(['journal']);
  expect(await folder.postgresPids()).toEqual([]);
  expect(await server.end('SIGTERM')).toMatchObject({ code: 0 });
  await database.drop();
}, 60_000);

it('shows its secrets once, with a line for the shell that works, and redoes nothing at the next start', async () => {
  await using folder = await DataFolder.make();
  const secret = { BOOTSTRAP_API_KEY: '', ADMIN_PASSWORD: '' };
  const first = folder.start(secret);
  await first.ready();
  const [, apiKey = ''] = /API key {4}(sbx_\S+)/.exec(first.stdout) ?? [];
  expect(first.stdout).toMatch(/Password {3}\S+/);
  if (hasCurl) expect(await paste(first.stdout)).toMatch(/"finish_reason": ?"stop"/);
  expect(await first.end('SIGTERM')).toMatchObject({ code: 0 });

  const second = folder.start(secret);
  const startedAt = performance.now();
  await second.ready();
  expect(performance.now() - startedAt).toBeLessThan(seconds(5));
  expect(second.stdout).not.toMatch(/sbx_|Password|migrating|seeded|Installing|Building|Generating/);
  if (hasCurl) expect(await paste(second.stdout, { SIGNALBOX_API_KEY: apiKey })).toMatch(/"finish_reason": ?"stop"/);
  expect(second.stderr).toBe('');
}, 120_000);

/** Runs the line that the banner prints. */
async function paste(stdout: string, env: Record<string, string> = {}): Promise<string> {
  const line = /^ {2}(curl .*)$/m.exec(stdout)?.[1] ?? '';
  const { stdout: answer } = await run('/bin/sh', ['-c', line], { env: { PATH: process.env.PATH ?? '', ...env } });
  return answer;
}
