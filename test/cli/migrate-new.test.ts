import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

function migrateNew(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(ROOT, 'dist/cli/migrate-new.js'), ...args], (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

it('writes no migration while those there are lead to schema.prisma', async () => {
  const before = await readdir(join(ROOT, 'prisma/migrations'));
  const { code, stdout } = await migrateNew('nothing', 'new');
  expect(stdout).toBe('prisma/migrations already lead to prisma/schema.prisma.\n');
  expect(code).toBe(0);
  expect(await readdir(join(ROOT, 'prisma/migrations'))).toEqual(before);
});

it('wants a name that can be a folder', async () => {
  for (const args of [[], ['../up'], ['what?']]) {
    const { code, stderr } = await migrateNew(...args);
    expect(code).toBe(2);
    expect(stderr).toContain('Usage: npm run migrate:new');
  }
});
