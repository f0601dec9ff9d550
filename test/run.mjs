// `npm test`: everything that must hold, in a fresh clone as well. The first step that fails ends it.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exitOnSetupError, ROOT, runTool, setUp } from '../src/cli/setup.mjs';

const isQuick = process.argv.includes('--quick');
process.chdir(ROOT);
await setUp().catch(exitOnSetupError);

if (!isQuick) {
  await step('Format and lint', '@biomejs/biome/bin/biome', ['ci', '.']);
  await step('schema.graphql is up to date', '../dist/cli/print-schema.js', ['--check']);
  await step('Typed operations', '@graphql-codegen/cli/esm/bin.js', ['--config', 'codegen.ts']);
  await step('Types', 'typescript/bin/tsc', ['--noEmit']);
}
await runTests(process.argv.slice(2).filter((argument) => argument !== '--quick'));

async function step(title, script, args) {
  console.log(`\n— ${title}`);
  const code = await runTool(script, args);
  if (code === 0) return;
  console.error(`\n${title}: failed.`);
  process.exit(code);
}

async function runTests(args) {
  console.log('\n— Tests');
  const folder = mkdtempSync(join(tmpdir(), 'signalbox-results-'));
  const results = join(folder, 'results.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${results}`];
  const coverage = isQuick ? [] : ['--coverage'];
  const code = await runTool('vitest/vitest.mjs', ['run', ...reporters, ...coverage, ...args]);
  if (existsSync(results)) {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(readFileSync(results, 'utf8'));
    console.log(`\n${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests + numTodoTests} skipped`);
  }
  rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}
