import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import type { PrismaClient } from '../../src/generated/prisma/client.ts';
import { SecretBox } from '../../src/platform/crypto.ts';
import { runningEmbeddedPostgres } from '../../src/platform/database/embedded.ts';
import { createPrisma } from '../../src/platform/database/prisma.ts';
import { createDatabase } from '../kit/database.ts';
import { openAll, storeKeys } from './sealed-keys.ts';
import { API_KEY, DataFolder } from './server-process.ts';
import { random } from './traffic.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const KILLS = 20;
/** Some end before they are killed. */
const MOST_ROUNDS = 60;

/** `signalbox keys rotate` in a process of its own. */
class Rotation {
  readonly #child: ChildProcess;
  readonly #startedAt = performance.now();
  output = '';
  /** Milliseconds from the start until it began to seal; null: it has not. */
  beganAfterMs: number | null = null;

  constructor(env: Record<string, string>) {
    const { PATH = '', HOME = '', TMPDIR = '' } = process.env;
    this.#child = spawn(process.execPath, ['src/cli/signalbox.mjs', 'keys', 'rotate'], {
      cwd: ROOT,
      env: { PATH, HOME, ...(TMPDIR ? { TMPDIR } : {}), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text) => {
        this.output += text;
        if (this.output.includes('Sealing')) this.beganAfterMs ??= performance.now() - this.#startedAt;
      });
  }

  /** Resolves at its end: to its exit code, or null when it was killed. */
  async ended(): Promise<{ code: number | null; tookMs: number }> {
    const [code] = await once(this.#child, 'close');
    return { code, tookMs: performance.now() - this.#startedAt };
  }

  /** Kills it so long after it has begun to seal. Resolves to how long it sealed if it had ended by then, else to null. */
  async killAfter(ms: number): Promise<number | null> {
    const end = this.ended();
    while (this.beganAfterMs === null && this.#child.exitCode === null) await delay(1);
    await delay(ms);
    this.#child.kill('SIGKILL');
    const { code, tookMs } = await end;
    expect(code === null || code === 0, this.output).toBe(true);
    return code === null ? null : tookMs - (this.beganAfterMs ?? 0);
  }
}

it(`every key still decrypts after a rotation was killed ${KILLS} times`, async () => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const prisma = createPrisma(database.connection, 2);
  onTestFinished(() => prisma.$disconnect());
  const keys = Array.from({ length: MOST_ROUNDS + 2 }, (_, index) => [index + 1, randomBytes(32)] as const);
  const masterKeys = new Map(keys);
  const secrets = await storeKeys(prisma, new SecretBox(new Map(keys.slice(0, 1))), { system: 180, own: 20 });
  const rotate = (newest: number) =>
    new Rotation({
      DATABASE_URL: database.url,
      JWT_SECRET: 'j'.repeat(40),
      ENCRYPTION_KEY: keys
        .slice(0, newest)
        .map(([version, key]) => `${version}:${key.toString('base64')}`)
        .join(','),
    });

  const undisturbed = rotate(2);
  const { code, tookMs } = await undisturbed.ended();
  expect(code, undisturbed.output).toBe(0);
  let sealingMs = tookMs - (undisturbed.beganAfterMs ?? 0);
  let round = 2;
  let halfDone = 0;
  for (let killed = 0; killed < KILLS; ) {
    expect(++round).toBeLessThan(MOST_ROUNDS);
    const endedAfterMs = await rotate(round).killAfter(random(0, Math.ceil(sealingMs)));
    if (endedAfterMs === null) killed++;
    else sealingMs = Math.min(sealingMs, endedAfterMs);
    const now = await openAll(prisma, masterKeys);
    expect(now.secrets).toEqual(secrets);
    if (now.counts.has(round) && now.counts.size > 1) halfDone++;
  }
  expect(halfDone).toBeGreaterThan(0);

  const last = rotate(round + 1);
  expect((await last.ended()).code, last.output).toBe(0);
  expect(last.output).toMatch(new RegExp(`sealed with master key ${round + 1}`));
  const now = await openAll(prisma, masterKeys);
  expect(now.secrets).toEqual(secrets);
  expect([...now.counts]).toEqual([[round + 1, 200]]);
}, 120_000);

it('beside a running server it makes the new master key, and takes nothing from who sets keys meanwhile', async () => {
  await using folder = await DataFolder.make();
  let server = folder.start({ PROVIDER_TESTS: 'off', GROQ_API_KEY: 'gsk_0123456789abcdef' });
  let url = await server.ready();
  const secretsFile = join(folder.path, 'secrets.json');
  const before = JSON.parse(await readFile(secretsFile, 'utf8'));

  const rotation = new Rotation({ DATA_DIR: folder.path });
  let isRunning = true;
  const end = rotation.ended().finally(() => {
    isRunning = false;
  });
  let set = 0;
  while (isRunning) await setKey(url, 'mistral', `sk-mistral-number-${++set}`);
  expect((await end).code, rotation.output).toBe(0);
  const after = JSON.parse(await readFile(secretsFile, 'utf8'));
  expect(Object.keys(after.encryptionKeys)).toEqual(['1', '2']);
  expect(after).toMatchObject({ jwtSecret: before.jwtSecret, encryptionKeys: before.encryptionKeys });
  expect((await stat(secretsFile)).mode & 0o777).toBe(0o600);
  await setKey(url, 'cohere', 'sk-cohere-after-the-rotation');

  const prisma = createPrisma(await runningEmbeddedPostgres(folder.path), 1);
  const stored = await stateOf(prisma, after.encryptionKeys);
  await prisma.$disconnect();
  expect(stored.get('groq')).toEqual({ secret: 'gsk_0123456789abcdef', masterKeyVersion: 2 });
  expect(stored.get('mistral')).toMatchObject({ secret: `sk-mistral-number-${set}` });
  // The server has learned the new master key.
  expect(stored.get('cohere')).toEqual({ secret: 'sk-cohere-after-the-rotation', masterKeyVersion: 2 });
  expect(await server.end('SIGTERM')).toMatchObject({ code: 0 });

  const offline = new Rotation({ DATA_DIR: folder.path });
  expect((await offline.ended()).code, offline.output).toBe(0);
  server = folder.start({ PROVIDER_TESTS: 'off' });
  url = await server.ready();
  expect(server.stdout + server.stderr).not.toContain('could not be decrypted');
  expect(await server.end('SIGTERM')).toMatchObject({ code: 0 });
}, 120_000);

it('says what stands in the way', async () => {
  const nowhere = new Rotation({ DATA_DIR: '/nonexistent' });
  expect((await nowhere.ended()).code).toBe(1);
  expect(nowhere.output).toMatch(/^There is no database in \/nonexistent; set DATA_DIR or DATABASE_URL/m);
});

async function setKey(url: string, provider: string, key: string): Promise<void> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      query: 'mutation ($input: SetProviderKeyInput!) { setProviderKey(input: $input) { __typename } }',
      variables: { input: { provider, key } },
    }),
  });
  expect(await response.json()).toEqual({ data: { setProviderKey: { __typename: 'SetProviderKeySuccess' } } });
}

/** The stored key of each provider by its slug. */
async function stateOf(prisma: PrismaClient, encoded: Record<string, string>) {
  const keys = Object.entries(encoded).map(([version, key]) => [Number(version), Buffer.from(key, 'base64')] as const);
  const { secrets } = await openAll(prisma, new Map(keys));
  const rows = await prisma.providerKey.findMany({ include: { provider: true } });
  return new Map(
    rows.map(({ id, provider, masterKeyVersion }) => [provider.slug, { secret: secrets.get(id), masterKeyVersion }]),
  );
}
