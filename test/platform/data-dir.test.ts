import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { addMasterKeyIn, DataDirInUseError, openDataDir } from '../../src/platform/data-dir.ts';
import { StartError } from '../../src/platform/start-error.ts';
import { temporaryFolder } from '../kit/folder.ts';

const own = { isShared: false };
const shared = { isShared: true };
const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

/** Opens `folder` in another process and stays. */
async function openElsewhere(folder: string) {
  const module = JSON.stringify(join(import.meta.dirname, '../../dist/platform/data-dir.js'));
  const script = `
    const { openDataDir } = await import(${module});
    await openDataDir(${JSON.stringify(folder)}, { isShared: false }).then(() => console.log('opened'), (error) => console.log(error.message));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data');
  return { child, line: String(line).trim() };
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('DATA_DIR', () => {
  it('is made so that others can pass but not look', async () => {
    await using folder = await temporaryFolder();
    const dataDir = await openDataDir(join(folder.path, 'a/b'), own);
    expect(await modeOf(dataDir.path)).toBe(0o711);
    await dataDir.close();
  });

  it('keeps the permissions of a folder that was there', async () => {
    await using folder = await temporaryFolder();
    await chmod(folder.path, 0o750);
    const dataDir = await openDataDir(folder.path, own);
    expect(await modeOf(folder.path)).toBe(0o750);
    await dataDir.close();
  });

  it('is refused to a second server, with the folder and the process in the sentence', async () => {
    await using folder = await temporaryFolder();
    const { child, line } = await openElsewhere(folder.path);
    expect(line).toBe('opened');
    const refusal = await openDataDir(folder.path, own).catch((error: Error) => error);
    expect(refusal).toBeInstanceOf(DataDirInUseError);
    expect((refusal as Error).message).toContain(`${folder.path} is in use: another Signalbox (process ${child.pid})`);
    child.kill('SIGKILL');
    await once(child, 'exit');
  });

  it('is free again once its server was killed', async () => {
    await using folder = await temporaryFolder();
    const { child } = await openElsewhere(folder.path);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const dataDir = await openDataDir(folder.path, own);
    await dataDir.close();
  });

  it('is free again once it was closed', async () => {
    await using folder = await temporaryFolder();
    await (await openDataDir(folder.path, own)).close();
    await (await openDataDir(folder.path, own)).close();
  });

  it('goes to exactly one of many servers that start together over a dead lock', async () => {
    await using folder = await temporaryFolder();
    const { child } = await openElsewhere(folder.path);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => openDataDir(folder.path, own)));
    const opened = results.filter((result) => result.status === 'fulfilled');
    expect(opened).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(DataDirInUseError);
    await Promise.all(opened.map((result) => result.value.close()));
  });

  it('can be locked where its path is too long for a socket', async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, 'long'.repeat(30));
    vi.stubEnv('TMPDIR', folder.path);
    const dataDir = await openDataDir(path, own);
    await expect(openDataDir(path, own)).rejects.toThrow(DataDirInUseError);
    await dataDir.close();
  });

  it('says in a sentence that it cannot be a file', async () => {
    await using folder = await temporaryFolder();
    await writeFile(join(folder.path, 'file'), '');
    await expect(openDataDir(join(folder.path, 'file'), own)).rejects.toThrow(StartError);
    await expect(openDataDir(join(folder.path, 'file/below'), own)).rejects.toThrow(/set DATA_DIR to a folder/);
  });
});

describe('secrets', () => {
  it('are made once, only when asked for, and readable by nobody else', async () => {
    await using folder = await temporaryFolder();
    const dataDir = await openDataDir(folder.path, own);
    await expect(stat(join(folder.path, 'secrets.json'))).rejects.toThrow();
    const made = await dataDir.secrets();
    expect(made.jwtSecret.length).toBeGreaterThanOrEqual(32);
    expect(made.encryptionKeys.get(1)).toHaveLength(32);
    expect(await dataDir.secrets()).toEqual(made);
    expect(await modeOf(join(folder.path, 'secrets.json'))).toBe(0o600);
    await dataDir.close();
  });

  it('get one more master key, and keep what they have', async () => {
    await using folder = await temporaryFolder();
    const dataDir = await openDataDir(folder.path, own);
    const made = await dataDir.secrets();
    const added = await addMasterKeyIn(folder.path);
    expect([...added.keys()]).toEqual([1, 2]);
    expect(added.get(1)).toEqual(made.encryptionKeys.get(1));
    expect(await dataDir.secrets()).toEqual({ ...made, encryptionKeys: added });
    expect(await modeOf(join(folder.path, 'secrets.json'))).toBe(0o600);
    await dataDir.close();
  });

  it('are never made anew over a damaged file', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'secrets.json');
    const dataDir = await openDataDir(folder.path, own);
    for (const damaged of ['', '{', '{}', '{"jwtSecret":"short","encryptionKeys":{}}']) {
      await writeFile(file, damaged);
      await expect(dataDir.secrets()).rejects.toThrow(`${file} is damaged`);
      expect(await readFile(file, 'utf8')).toBe(damaged);
    }
    await dataDir.close();
  });
});

describe('journals', () => {
  it('stay with their server over a restart', async () => {
    await using folder = await temporaryFolder();
    const first = await openDataDir(folder.path, own);
    const { serverId, directory, release } = await first.claimJournal();
    expect(directory).toBe(join(first.path, 'journal', serverId));
    await release();
    await first.close();
    const second = await openDataDir(folder.path, own);
    const again = await second.claimJournal();
    expect(again.serverId).toBe(serverId);
    await again.release();
    await second.close();
  });

  it('are one for each of the servers that share a folder', async () => {
    await using folder = await temporaryFolder();
    const servers = await Promise.all([1, 2, 3].map(() => openDataDir(folder.path, shared)));
    const journals = await Promise.all(servers.map((server) => server.claimJournal()));
    expect(new Set(journals.map(({ serverId }) => serverId)).size).toBe(3);
    const [freed] = journals;
    await freed?.release();
    const next = await openDataDir(folder.path, shared);
    const claimed = await next.claimJournal();
    expect(claimed.serverId).toBe(freed?.serverId);
    await Promise.all([...journals.slice(1), claimed].map((journal) => journal.release()));
  });
});
