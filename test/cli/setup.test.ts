import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { temporaryFolder } from '../kit/folder.ts';

const ROOT = join(import.meta.dirname, '../..');
let folder: Awaited<ReturnType<typeof temporaryFolder>>;

/** A clone with two sources of its own, and the packages of this one. */
beforeAll(async () => {
  folder = await temporaryFolder();
  await mkdir(join(folder.path, 'src/cli'), { recursive: true });
  for (const path of ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'])
    await cp(join(ROOT, path), join(folder.path, path));
  for (const path of ['prisma', 'prisma.config.ts', 'src/cli/setup.mjs'])
    await cp(join(ROOT, path), join(folder.path, path), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder.path, 'node_modules'));
  await writeFile(join(folder.path, 'src/one.ts'), 'export const one = 1;\n');
  await writeFile(join(folder.path, 'src/two.ts'), 'export const two = 2;\n');
});
afterAll(() => folder[Symbol.asyncDispose]());

function setUp(): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [join(folder.path, 'src/cli/setup.mjs')], (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
  });
}

const output = (name: string) => join(folder.path, 'dist', name);

describe('set-up', () => {
  it('is done once by two that start together, and not again after', async () => {
    const [first, second] = await Promise.all([setUp(), setUp()]);
    expect([first.code, second.code]).toEqual([0, 0]);
    const lines = `${first.stdout}${second.stdout}`;
    expect(lines.match(/Generating/g)).toHaveLength(1);
    expect(lines.match(/Building/g)).toHaveLength(1);
    expect(lines).not.toContain('Installing');
    expect(await readFile(output('one.js'), 'utf8')).toContain('one = 1');
    expect(await setUp()).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('builds what changed, and drops what was built from a source that is gone', async () => {
    await writeFile(join(folder.path, 'src/one.ts'), 'export const one = 11;\n');
    await rm(join(folder.path, 'src/two.ts'));
    expect((await setUp()).stdout).toMatch(/^Building … [\d.]+ s\n$/);
    expect(await readFile(output('one.js'), 'utf8')).toContain('one = 11');
    expect(existsSync(output('two.js'))).toBe(false);
    expect(existsSync(output('two.js.map'))).toBe(false);
  });

  it('fails with the compiler in its words, and tries again the next time', async () => {
    await writeFile(join(folder.path, 'src/one.ts'), "export const one: number = 'text';\n");
    for (const _ of [1, 2]) {
      const { code, stderr } = await setUp();
      expect(code).toBe(1);
      expect(stderr).toContain("src/one.ts(1,14): error TS2322: Type 'string' is not assignable to type 'number'.");
      expect(stderr).toContain('Building failed.');
    }
  });
});
