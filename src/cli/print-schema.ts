import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { printSchema } from 'graphql';
import { buildSchema } from '../control/schema/schema.ts';

/** Prints the schema into schema.graphql; with `--check`, fails when that file is not what the code says. */
const file = fileURLToPath(new URL('../../schema.graphql', import.meta.url));
const schema = `${printSchema(buildSchema())}\n`;

if (!process.argv.includes('--check')) {
  await writeFile(file, schema);
} else if ((await readFile(file, 'utf8').catch(() => '')) !== schema) {
  process.stderr.write('schema.graphql is not what the code says. Run: npm run schema:print\n');
  process.exitCode = 1;
}
