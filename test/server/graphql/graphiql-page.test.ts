import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { type OperationDefinitionNode, parse, print, validate } from 'graphql';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { buildSchema } from '../../../src/control/schema/schema.ts';
import { startServer, type TestServer } from '../../kit/server.ts';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const BROWSER_FOLDER = `${ROOT}src/server/graphql/graphiql/browser`;

interface Example {
  name: string;
  title: string;
  query: string;
}

describe('the GraphiQL page', () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startServer();
  });
  afterAll(() => server?.close());

  const html = { accept: 'text/html,*/*;q=0.8' };
  const get = (path: string, headers: Record<string, string> = {}) => request(`${server.url}${path}`, { headers });
  const fileNames = (text: string) =>
    [...text.matchAll(/(?:"\/graphql\/assets\/[\w-]+|'\.)\/([\w.-]+)['"]/g)].map(([, name]) => name);

  async function openPage() {
    const response = await get('/graphql', html);
    const text = await response.body.text();
    const version = /assets\/([\w-]+)\//.exec(text)?.[1];
    return { ...response, text, assets: `/graphql/assets/${version}` };
  }

  test('is asked for at each visit, and sent only when it is another', async () => {
    const { statusCode, headers } = await openPage();
    expect(statusCode).toBe(200);
    expect(headers).toMatchObject({ 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-cache' });
    const again = await get('/graphql', { ...html, 'if-none-match': String(headers.etag) });
    expect(again.statusCode).toBe(304);
    expect(await again.body.text()).toBe('');
    const other = await get('/graphql', { ...html, 'if-none-match': '"other"' });
    expect(other.statusCode).toBe(200);
    await other.body.dump();
  });

  test('runs only scripts of this server, and evaluates nothing', async () => {
    const { headers, text } = await openPage();
    const policy = String(headers['content-security-policy']);
    expect(policy).toContain("default-src 'none'; script-src 'self'; worker-src 'self';");
    expect(policy).not.toContain('unsafe-eval');
    expect(policy).not.toMatch(/https?:|wss?:/);
    expect(text).not.toMatch(/https?:|<script>|\son\w+=/);
  });

  test('finds every file that it and its modules name, for browsers to keep', async () => {
    const { text, assets } = await openPage();
    const found = new Set<string>();
    const missing = fileNames(text);
    for (let name = missing.pop(); name; name = missing.pop()) {
      if (found.has(name)) continue;
      found.add(name);
      const { statusCode, headers, body } = await get(`${assets}/${name}`);
      expect([name, statusCode, headers['cache-control']]).toEqual([name, 200, 'public, max-age=31536000, immutable']);
      const script = await body.text();
      if (name.endsWith('.js') && script.length < 20_000) missing.push(...fileNames(script));
    }
    expect(found).toContain('page.js');
    expect(found).toContain('session.js');
    for (const worker of ['editorWorkerService', 'graphql', 'json']) {
      const { statusCode, body } = await get(`${assets}/${worker}.worker.js`);
      expect(statusCode).toBe(200);
      expect((await body.text()).length).toBeGreaterThan(100_000);
    }
  });

  test('comes compressed for those who can read that: less than 3 MB in all', async () => {
    const { assets } = await openPage();
    let total = 0;
    for (const name of [
      'graphiql.js',
      'graphiql.css',
      'graphql.worker.js',
      'json.worker.js',
      'editorWorkerService.worker.js',
    ]) {
      const plain = await get(`${assets}/${name}`);
      const packed = await get(`${assets}/${name}`, { 'accept-encoding': 'gzip, br' });
      expect(packed.headers['content-encoding']).toBe('gzip');
      const bytes = Buffer.from(await packed.body.arrayBuffer());
      total += bytes.length;
      expect(gunzipSync(bytes).equals(Buffer.from(await plain.body.arrayBuffer()))).toBe(true);
    }
    expect(total).toBeLessThan(3_000_000);
  });

  test('has no files of other versions, and none beside its own', async () => {
    const { assets } = await openPage();
    for (const path of ['/graphql/assets/other/page.js', `${assets}/assets.ts`, `${assets}/..%2fassets.ts`]) {
      const { statusCode, body } = await get(path);
      expect([path, statusCode]).toEqual([path, 404]);
      expect(await body.text()).not.toContain('import');
    }
  });
});

describe("the page's scripts", () => {
  test('are well typed', () => {
    const { stdout, status } = spawnSync('node_modules/.bin/tsc', ['--project', BROWSER_FOLDER], { cwd: ROOT });
    expect(String(stdout)).toBe('');
    expect(status).toBe(0);
  });

  test('bring examples that are valid by the schema and named apart', async () => {
    const schema = buildSchema();
    const examples = await readExamples();
    for (const { name, query } of examples) {
      const errors = validate(schema, parse(query)).map(({ message }) => message);
      expect([name, ...errors]).toEqual([name]);
    }
    for (const names of [examples.map(({ name }) => name), examples.map(({ title }) => title)]) {
      expect(new Set(names).size).toBe(names.length);
    }
  });

  test('bring examples that work in a fresh installation', async () => {
    const server = await startServer();
    onTestFinished(() => server.close());
    // The others want a key of one's own, and a user of one's own.
    const examples = (await readExamples()).filter(({ name }) => !['connect-provider', 'credits'].includes(name));
    for (const definition of examples.flatMap(({ query }) => parse(query).definitions as OperationDefinitionNode[])) {
      if (definition.operation === 'subscription') continue;
      const { data, errors } = await server.query<unknown, unknown>(print(definition));
      expect([definition.name?.value, errors]).toEqual([definition.name?.value, []]);
      // The members of each Error.
      expect(JSON.stringify(data)).not.toMatch(/"code":|"issues":/);
    }
    for (const [name, first] of Object.entries({
      'stream-completion': 'CompletionStarted',
      'live-metrics': '"requests":',
      'request-log': '"SUCCEEDED"',
    })) {
      const document = parse(examples.find((example) => example.name === name)?.query ?? '');
      const subscription = document.definitions.find((definition) => print(definition).startsWith('subscription'));
      const events = server.ws().iterate({ query: subscription ? print(subscription) : '' });
      expect(JSON.stringify((await events.next()).value)).toContain(first);
      await events.return?.();
    }
  });
});

async function readExamples(): Promise<Example[]> {
  const { EXAMPLES } = (await import(`${BROWSER_FOLDER}/examples.js`)) as { EXAMPLES: Example[] };
  return EXAMPLES;
}
