import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

/** Our part of the page, which browsers get as it is written; at the same distance from src/ and from dist/. */
const BROWSER_FOLDER = new URL('../../../../src/server/graphql/graphiql/browser/', import.meta.url);
const OWN_FILES = [
  'api.js',
  'bar.js',
  'examples.js',
  'fetcher.js',
  'globals.js',
  'page.js',
  'session.js',
  'transcript.js',
  'icon.svg',
  'page.css',
] as const;
const TYPES: Record<string, string> = {
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
};

/** A file that the page loads. */
export interface Asset {
  type: string;
  gzipped: Buffer;
}

/** The page and everything it loads. */
export interface Assets {
  /** Changes with any of them. */
  version: string;
  page: string;
  /** By file name. */
  files: ReadonlyMap<string, Asset>;
}

let loading: Promise<Assets> | undefined;

/** Reads and compresses everything, once; nothing is kept in memory for servers where nobody opens GraphiQL. */
export function loadAssets(): Promise<Assets> {
  loading ??= readAssets();
  return loading;
}

/** The path that the page's files are under. */
export function assetsPath(version: string): string {
  return `/graphql/assets/${version}`;
}

async function readAssets(): Promise<Assets> {
  const [template, ...texts] = await Promise.all([
    readOwn('page.html'),
    ...OWN_FILES.map(async (name) => [name, await readOwn(name)] as const),
    ...(await readPackages()),
  ]);
  const version = hash([template, ...texts.flat()]);
  const compressed = texts.map(async ([name, text]) => [name, await compress(name, text)] as const);
  return {
    version,
    page: template.replaceAll('{assets}', assetsPath(version)),
    files: new Map(await Promise.all(compressed)),
  };
}

function readOwn(name: string): Promise<string> {
  return readFile(new URL(name, BROWSER_FOLDER), 'utf8');
}

/** What GraphiQL's package has inline, as files, and the client for WebSockets in the form for a script element. */
async function readPackages(): Promise<(readonly [name: string, text: string])[]> {
  const { css, js, editorWorkerService, graphqlWorker, jsonWorker } = await import(
    '@graphql-yoga/render-graphiql/graphiql'
  );
  const webSocketFolder = dirname(createRequire(import.meta.url).resolve('graphql-ws'));
  return [
    ['graphiql.css', css],
    ['graphiql.js', js],
    ['editorWorkerService.worker.js', editorWorkerService],
    ['graphql.worker.js', graphqlWorker],
    ['json.worker.js', jsonWorker],
    ['graphql-ws.js', await readFile(join(webSocketFolder, '../umd/graphql-ws.min.js'), 'utf8')],
  ];
}

async function compress(name: string, text: string): Promise<Asset> {
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1)];
  if (!type) throw new Error(`${name} has no media type.`);
  return { type, gzipped: await promisify(gzip)(text) };
}

function hash(texts: readonly string[]): string {
  const sum = createHash('sha256');
  for (const text of texts) sum.update(text).update('\0');
  return sum.digest('base64url').slice(0, 16);
}
