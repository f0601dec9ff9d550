import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { DatabaseConnection } from '../../../src/platform/database/connection.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../src/platform/database/embedded.ts';
import { createLog } from '../../../src/platform/log.ts';
import { eventually } from '../../kit/eventually.ts';
import { temporaryFolder } from '../../kit/folder.ts';

const silent = createLog({ logLevel: 'silent' });
const isRoot = process.getuid?.() === 0;

async function query(connection: DatabaseConnection, sql: string) {
  const client = new pg.Client(connection);
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function start(dataDir: string): Promise<EmbeddedPostgres & AsyncDisposable> {
  const postgres = await startEmbeddedPostgres({ dataDir, log: silent });
  return Object.assign(postgres, { [Symbol.asyncDispose]: () => postgres.stop() });
}

function pidOf(postgres: EmbeddedPostgres): number {
  if (postgres.pid === null) throw new Error('Postgres is down');
  return postgres.pid;
}

/** Ended; perhaps not reaped yet. */
function isGone(pid: number): boolean {
  const status = existsSync(`/proc/${pid}/stat`)
    ? execFileSync('cat', [`/proc/${pid}/stat`], { encoding: 'utf8' })
    : '';
  return status === '' || /\) Z /.test(status);
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('the embedded Postgres', () => {
  it('makes a database, keeps its rows over a restart, and leaves no process', async () => {
    await using folder = await temporaryFolder();
    const first = await startEmbeddedPostgres({ dataDir: folder.path, log: silent });
    const pid = pidOf(first);
    await query(first.connection, 'CREATE TABLE kept AS SELECT 7 AS number');
    const startedAt = performance.now();
    await first.stop();
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    expect(isGone(pid)).toBe(true);
    expect(first.pid).toBe(null);

    await using second = await start(folder.path);
    expect(await query(second.connection, 'SELECT number FROM kept')).toEqual([{ number: 7 }]);
  });

  it('listens on no network, and only its own user can reach the socket', async () => {
    await using folder = await temporaryFolder();
    await using postgres = await start(folder.path);
    expect(await query(postgres.connection, 'SHOW listen_addresses')).toEqual([{ listen_addresses: '' }]);
    expect((await stat(postgres.connection.host)).mode & 0o777).toBe(0o700);
  });

  it('knows upper and lower case beyond ASCII, and stores UTF-8', async () => {
    await using folder = await temporaryFolder();
    await using postgres = await start(folder.path);
    const [row] = await query(
      postgres.connection,
      "SELECT lower('ÀÉ') AS lower, current_setting('server_encoding') AS e",
    );
    expect(row).toEqual({ lower: 'àé', e: 'UTF8' });
  });

  it('comes back on the same connection after it was killed', async () => {
    await using folder = await temporaryFolder();
    await using postgres = await start(folder.path);
    await query(postgres.connection, 'CREATE TABLE kept AS SELECT 7 AS number');
    const pid = pidOf(postgres);
    process.kill(pid, 'SIGKILL');
    await eventually(async () => {
      expect(await query(postgres.connection, 'SELECT number FROM kept')).toEqual([{ number: 7 }]);
    });
    expect(postgres.pid).not.toBe(pid);
  });

  it('stays down when it is stopped while it is being started again', async () => {
    await using folder = await temporaryFolder();
    const postgres = await startEmbeddedPostgres({ dataDir: folder.path, log: silent });
    process.kill(pidOf(postgres), 'SIGKILL');
    await eventually(() => expect(postgres.pid).toBe(null));
    await postgres.stop();
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(postgres.pid).toBe(null);
    await expect(query(postgres.connection, 'SELECT 1')).rejects.toThrow();
  });

  it('takes over from a server that was killed while its Postgres lived on', async () => {
    await using folder = await temporaryFolder();
    const script = `
      const { startEmbeddedPostgres } = await import(${JSON.stringify(join(import.meta.dirname, '../../../dist/platform/database/embedded.js'))});
      const log = { info() {}, warn() {}, error() {} };
      const postgres = await startEmbeddedPostgres({ dataDir: ${JSON.stringify(folder.path)}, log });
      console.log(postgres.pid);
      setInterval(() => {}, 1000);`;
    const server = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(server.stdout, 'data');
    const orphan = Number(line);
    server.kill('SIGKILL');
    await once(server, 'exit');
    expect(isGone(orphan)).toBe(false);

    await using postgres = await start(folder.path);
    expect(isGone(orphan)).toBe(true);
    expect(postgres.pid).not.toBe(orphan);
    expect(await query(postgres.connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('is not kept from starting by a process id that belongs to something else now', async () => {
    await using folder = await temporaryFolder();
    const first = await startEmbeddedPostgres({ dataDir: folder.path, log: silent });
    const file = join(folder.path, 'postgres/postmaster.pid');
    const text = await readFile(file, 'utf8');
    await first.stop();
    await writeFile(file, text.replace(/^\d+/, String(process.pid)));
    await using second = await start(folder.path);
    expect(await query(second.connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('begins again where making the database was cut short', async () => {
    await using folder = await temporaryFolder();
    const unfinished = join(folder.path, 'postgres.unfinished-abc123');
    await mkdir(unfinished);
    await writeFile(join(unfinished, 'PG_VERSION'), '18\n');
    await using postgres = await start(folder.path);
    expect(await query(postgres.connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    expect(existsSync(unfinished)).toBe(false);
  });

  it('works in a folder whose path is too long for a socket', async () => {
    await using folder = await temporaryFolder();
    const dataDir = join(folder.path, 'long'.repeat(20), 'data');
    await mkdir(dataDir, { recursive: true });
    vi.stubEnv('TMPDIR', folder.path);
    await using postgres = await start(dataDir);
    expect(dirname(postgres.connection.host)).toBe(folder.path);
    expect(await query(postgres.connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('logs neither statements nor values, also of those that fail', async () => {
    await using folder = await temporaryFolder();
    await using postgres = await start(folder.path);
    await query(postgres.connection, 'CREATE TABLE private (secret text UNIQUE)');
    await query(postgres.connection, "INSERT INTO private VALUES ('hunter2')");
    await expect(query(postgres.connection, "INSERT INTO private VALUES ('hunter2')")).rejects.toThrow();
    await expect(query(postgres.connection, "SELECT 'hunter2'::uuid")).rejects.toThrow();
    await postgres.stop();
    const text = await readFile(join(folder.path, 'postgres.log'), 'utf8');
    expect(text).toContain('database system is ready');
    expect(text).not.toContain('hunter2');
  });

  it.runIf(isRoot)(
    'keeps its files in a reachable place when its user cannot pass DATA_DIR, and finds them again',
    async () => {
      await using folder = await temporaryFolder();
      const dataDir = join(folder.path, 'closed/data');
      await mkdir(dataDir, { recursive: true });
      await mkdir(join(folder.path, 'closed'), { recursive: true });
      execFileSync('chmod', ['700', join(folder.path, 'closed')]);
      const first = await startEmbeddedPostgres({ dataDir, log: silent });
      await query(first.connection, 'CREATE TABLE kept AS SELECT 7 AS number');
      await first.stop();
      const place = (await readFile(join(dataDir, 'postgres-location'), 'utf8')).trim();
      try {
        expect(place).toMatch(/^\/var\//);
        await using second = await start(dataDir);
        expect(await query(second.connection, 'SELECT number FROM kept')).toEqual([{ number: 7 }]);
      } finally {
        execFileSync('rm', ['-rf', place]);
      }
    },
  );
});
