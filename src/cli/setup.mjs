// Makes a fresh clone ready to run: packages, generated code, build. Does only what is out of date.
// Nothing may be imported here but what Node brings along: nothing else is installed yet.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The clone. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const OLDEST_NODE = [20, 19];

/** Set-up cannot go on; the message is for the person at the terminal. */
export class SetupError extends Error {}

/** Installs, generates and builds, each only where it is needed. Set-ups that start together wait for each other. */
export async function setUp() {
  checkNode();
  const unlock = await lock();
  try {
    await install();
    await generate();
    await build();
  } finally {
    unlock();
  }
}

/** Runs a program of node_modules and shows its output. Resolves to its exit code. */
export async function runTool(script, args, env = {}) {
  const child = spawn(process.execPath, [join(ROOT, 'node_modules', script), ...args], {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  const [code] = await once(child, 'exit');
  return code ?? 1;
}

/** @throws SetupError when this Node is too old. */
export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return;
  throw new SetupError(
    `Signalbox needs Node.js ${OLDEST_NODE.join('.')} or later, and this is ${process.versions.node}; install a newer one from https://nodejs.org.`,
  );
}

async function install() {
  if (isInstalled()) return;
  const npm = process.env.npm_execpath;
  const isNpm = npm !== undefined && /^npm(-cli)?\.c?js$/.test(basename(npm));
  const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'];
  await step('Installing packages', isNpm ? process.execPath : 'npm', isNpm ? [npm, ...args] : args);
}

/** Whether node_modules holds what package-lock.json says, for this platform. npm writes its own list last of all. */
function isInstalled() {
  const installed = readPackages('node_modules/.package-lock.json');
  if (!installed) return false;
  return Object.entries(readPackages('package-lock.json') ?? {}).every(([path, wanted]) => {
    if (path === '' || (wanted.optional && !isForThisPlatform(wanted))) return true;
    return installed[path]?.version === wanted.version && installed[path]?.integrity === wanted.integrity;
  });
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(join(ROOT, file), 'utf8')).packages;
  } catch {
    return null;
  }
}

/** Optional packages without a platform belong to those of some other platform. */
function isForThisPlatform({ os, cpu, libc }) {
  if (!os?.includes(process.platform) || !cpu?.includes(process.arch)) return false;
  const isGlibc = process.report?.getReport().header.glibcVersionRuntime !== undefined;
  return libc === undefined || libc.includes(isGlibc ? 'glibc' : 'musl');
}

async function generate() {
  const inputs = ['prisma/schema.prisma', 'prisma.config.ts', 'package-lock.json'];
  await whenChanged('src/generated', inputs, () =>
    step('Generating the database client', process.execPath, ['node_modules/prisma/build/index.js', 'generate'], {
      // Generating needs no engine, but Prisma would download one. The generators are found on the path.
      PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true',
      CHECKPOINT_DISABLE: '1',
      PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env.PATH}`,
    }),
  );
}

async function build() {
  const sources = filesBelow('src').filter((path) => path.endsWith('.ts'));
  const inputs = [...sources, 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
  await whenChanged('dist', inputs, async () => {
    removeStaleOutput(sources);
    const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--incremental', 'false'];
    await step('Building', process.execPath, tsc);
  });
}

/** What was built from a source that is gone must not be found by an import. */
function removeStaleOutput(sources) {
  const outputs = new Set(sources.map((path) => join('dist', relative('src', path).replace(/\.ts$/, '.js'))));
  for (const path of existsSync(join(ROOT, 'dist')) ? filesBelow('dist') : [])
    if (!outputs.has(path.replace(/\.map$/, ''))) rmSync(join(ROOT, path), { force: true });
}

/** Runs `make` when a file in `inputs` changed since it last succeeded for `folder`, or when there is no `folder`. */
async function whenChanged(folder, inputs, make) {
  const stamp = join(ROOT, folder, '.stamp');
  const hash = createHash('sha256');
  for (const path of inputs) hash.update(`${path}\0`).update(readFileSync(join(ROOT, path)));
  const wanted = hash.digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  rmSync(stamp, { force: true });
  await make();
  mkdirSync(join(ROOT, folder), { recursive: true });
  writeFileSync(stamp, wanted);
}

function filesBelow(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesBelow(path) : [path];
    })
    .sort();
}

/** Prints one line, and the program's output only when it fails. */
async function step(title, program, args, env = {}) {
  const startedAt = performance.now();
  process.stdout.write(`${title} … `);
  const child = spawn(program, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
  const code = await new Promise((resolve) => {
    child.on('close', resolve);
    child.on('error', (error) => {
      output += error.message;
      resolve(1);
    });
  });
  console.log(code === 0 ? `${((performance.now() - startedAt) / 1000).toFixed(1)} s` : 'failed');
  if (code !== 0) throw new SetupError(`${output.trim()}\n\n${title} failed.`);
}

/** A listening socket, which no killed set-up leaves locked. Returns what frees it. */
async function lock() {
  const name = `signalbox-setup-${createHash('sha256').update(ROOT).digest('hex').slice(0, 12)}`;
  // On Linux a name that the kernel forgets with the process; elsewhere a file, which may be left over.
  const path = process.platform === 'linux' ? `\0${name}` : join(tmpdir(), name);
  for (let isFirst = true; ; isFirst = false) {
    const waiting = new Set();
    const server = createServer((socket) => {
      socket.on('error', () => {});
      waiting.add(socket);
    });
    const isListening = await new Promise((resolve, reject) => {
      server.once('error', (error) => (error.code === 'EADDRINUSE' ? resolve(false) : reject(error)));
      server.listen(path, () => resolve(true));
    });
    if (isListening)
      return () => {
        server.close();
        for (const socket of waiting) socket.destroy();
      };
    if (isFirst) console.log('Another set-up of this folder is running; waiting for it …');
    await waitForHolder(path);
  }
}

/** The holder never answers; the connection ends with it. */
function waitForHolder(path) {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('error', (error) => {
      if (error.code === 'ECONNREFUSED' && !path.startsWith('\0')) rmSync(path, { force: true });
    });
    socket.on('close', resolve);
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await setUp().catch(exitOnSetupError);
}

/** Says in words what was wrong with the clone or the machine; everything else is a bug and keeps its stack. */
export function exitOnSetupError(error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`\n${error.message}`);
  process.exit(1);
}
