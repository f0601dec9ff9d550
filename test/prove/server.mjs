// Signalbox in a process of its own, as `npm start` runs it, and its command line.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PATIENCE_MS = 90_000;

const ADMIN = 'admin@signalbox.local';
export const API_KEY = `sbx_${'p'.repeat(40)}`;

const { PATH = '', HOME = '', TMPDIR } = process.env;
/** Nothing of who runs this. */
const MACHINE = { PATH, HOME, ...(TMPDIR ? { TMPDIR } : {}) };
const SETTINGS = {
  ...{ PORT: '0', BOOTSTRAP_API_KEY: API_KEY, ADMIN_PASSWORD: 'of the proof', ADMIN_EMAIL: ADMIN, LOG_LEVEL: 'warn' },
  ...{ PROVIDER_TESTS: 'off', PROVIDER_PROBE_INTERVAL_SECONDS: '0', CIRCUIT_PROBE_SECONDS: '0' },
};

function run(script, args, env) {
  const child = spawn(process.execPath, [script, ...args], {
    cwd: ROOT,
    env: { ...MACHINE, ...SETTINGS, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  child.once('close', () => process.off('exit', end));
  const output = { text: '' };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      output.text += text;
    });
  return { child, output, exited: once(child, 'close') };
}

/** Starts it. `ready` resolves with its address. */
export function startServer(env) {
  const { child, output, exited } = run('src/cli/start.mjs', [], env);
  return {
    output,
    /** Sends a signal, and resolves when it has ended. */
    async end(signal) {
      child.kill(signal);
      await exited;
    },
    async ready() {
      for (const end = performance.now() + PATIENCE_MS; ; await delay(5)) {
        if (/^ {2}curl .*\n/m.test(output.text)) return /^ {2}Health +(.*)\/health$/m.exec(output.text)[1];
        if (child.exitCode !== null || performance.now() > end) throw new Error(`It did not start:\n${output.text}`);
      }
    },
  };
}

/** Runs `signalbox doctor`: { code, text }. */
export async function examine(env) {
  const { output, exited } = run('src/cli/signalbox.mjs', ['doctor'], env);
  const [code] = await exited;
  return { code, text: output.text };
}

/** Sends an operation as the admin; throws what it is refused for. */
export async function ask(url, query, variables = {}) {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  const refused = Object.values(data ?? {}).find((result) => result?.message);
  if (errors || refused) throw new Error(JSON.stringify(errors ?? refused));
  return data;
}

/** Waits until its journal is in Postgres. */
export async function drained(url) {
  for (const end = performance.now() + PATIENCE_MS; ; await delay(50)) {
    const { checks } = await (await fetch(`${url}/health`)).json();
    if (checks.ledger.status === 'ok' && checks.ledger.pendingBytes === 0) return;
    if (performance.now() > end) throw new Error(`The journal is not drained: ${JSON.stringify(checks)}`);
  }
}

function mutate(url, name, type, input) {
  return ask(url, `mutation ($input: ${type}!) { ${name}(input: $input) { __typename ... on Error { message } } }`, {
    input,
  });
}

/**
 * Makes these upstreams the providers of the route `default`, tried in this order, and sets budgets that no
 * load here uses up.
 * @param enforcements of the budgets, SOFT or HARD
 */
export async function furnish(url, upstreams, enforcements) {
  for (const [index, [slug, upstream]] of Object.entries(upstreams).entries())
    await mutate(url, 'createProvider', 'CreateProviderInput', {
      ...{ slug, name: slug, kind: 'CUSTOM', baseUrl: upstream.url, isEnabled: true, priority: index + 1 },
      ...{ apiKey: `key-of-${slug}-1234567890`, models: [{ name: 'm', inputPrice: '1', outputPrice: '2' }] },
    });
  await ask(url, 'mutation ($id: ID!) { activateProvider(id: $id) { __typename } }', { id: Object.keys(upstreams)[0] });
  for (const [index, enforcement] of enforcements.entries())
    await mutate(url, 'setBudget', 'SetBudgetInput', {
      ...{ scope: index === 0 ? 'EVERYTHING' : 'USER', period: 'MONTHLY', limit: '1000', enforcement },
    });
}

/** Gives the admin credits, if this version knows any. */
export async function grantCredits(url) {
  const { __type } = await ask(url, '{ __type(name: "Mutation") { fields { name } } }');
  if (!__type.fields.some(({ name }) => name === 'grantCredits')) return;
  await mutate(url, 'grantCredits', 'GrantCreditsInput', { userId: ADMIN, amount: '1000' });
}

/** A budget of each kind that this version knows. */
export async function enforcementsOf(url) {
  const { __type } = await ask(url, '{ __type(name: "BudgetEnforcement") { enumValues { name } } }');
  return __type.enumValues.map(({ name }) => name);
}
