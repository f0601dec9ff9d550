import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, specifiedRules, validate } from 'graphql';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildSchema } from '../src/control/schema/schema.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const FOLDER = join(ROOT, 'test/generated/readme');

function blocks(language: string): string[] {
  return [...README.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, code = '']) => code);
}

describe('what the README shows', () => {
  beforeAll(() => {
    mkdirSync(FOLDER, { recursive: true });
  });
  afterAll(() => rmSync(FOLDER, { recursive: true, force: true }));

  it('in GraphQL is valid', () => {
    const schema = buildSchema();
    expect(blocks('graphql').length).toBeGreaterThan(2);
    for (const code of blocks('graphql')) expect(validate(schema, parse(code), specifiedRules), code).toEqual([]);
  });

  it('in TypeScript has the right types', () => {
    const files = blocks('ts').map((code, index) => {
      const file = join(FOLDER, `example-${index}.ts`);
      writeFileSync(file, code);
      return file;
    });
    expect(files.length).toBeGreaterThan(2);
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--ignoreConfig', '--target', 'es2023'];
    const modules = [
      '--module',
      'nodenext',
      '--moduleResolution',
      'nodenext',
      '--lib',
      'es2023,dom',
      '--types',
      'node',
    ];
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    try {
      execFileSync(process.execPath, [tsc, ...options, ...modules, ...files], { cwd: ROOT });
    } catch (error) {
      expect.fail(String((error as { stdout: Buffer }).stdout));
    }
  });

  it('of pictures is there', () => {
    for (const [, path = ''] of README.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g))
      expect(readFileSync(join(ROOT, path)).length, path).toBeGreaterThan(1_000);
  });
});
