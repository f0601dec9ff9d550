import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { createDatabase, runSql } from '../kit/database.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function doctor(env: Record<string, string>): Promise<{ code: number; stdout: string; stderr: string }> {
  const { PATH = '', HOME = '' } = process.env;
  const options = { cwd: ROOT, env: { PATH, HOME, ...env } };
  return new Promise((resolve) => {
    execFile(process.execPath, ['src/cli/signalbox.mjs', 'doctor'], options, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

it('tells what agrees and what does not, with an exit code for scripts', async () => {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const env = {
    ...{ DATABASE_URL: database.url, JWT_SECRET: 'x'.repeat(40) },
    ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
  };
  const healthy = await doctor(env);
  expect(healthy).toMatchObject({ code: 0, stderr: '' });
  expect(healthy.stdout).toContain('OK     numbers of the ledger: 0 rows from 1 on, head 0\n');
  expect(healthy.stdout).toContain('Everything agrees with the ledger.');

  await runSql(database.connection, 'UPDATE ledger_head SET seq = 5');
  const ill = await doctor(env);
  expect(ill).toMatchObject({ code: 1, stderr: '' });
  expect(ill.stdout).toContain('WRONG  numbers of the ledger: 0 rows from 1 on, head 5\n');
  expect(ill.stdout).toContain("the latest number is 0, but the ledger's head says 5");
  expect(ill.stdout).toContain('Something does not agree.');
}, 60_000);

it('says in a sentence why it cannot look', async () => {
  const database = await createDatabase({ isEmpty: true });
  onTestFinished(() => database.drop());
  const env = { JWT_SECRET: 'x'.repeat(40), ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') };
  expect(await doctor({ ...env, DATABASE_URL: database.url })).toEqual({
    ...{ code: 1, stdout: '' },
    stderr: 'The database is older than this version; start a server on it first.\n',
  });
  const nowhere = await doctor({ DATA_DIR: '/tmp/there-is-no-such-folder' });
  expect(nowhere).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no database in') });
}, 60_000);
