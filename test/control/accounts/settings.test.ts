import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createApiKey } from '../../../src/control/accounts/api-keys.ts';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import type { Caller } from '../../../src/gateway/admission/caller.ts';
import { until } from '../../kit/eventually.ts';
import { type Credential, startPeer, startServer, type TestServer } from '../../kit/server.ts';

interface Settings {
  powerLevel: string;
  preferences: unknown;
}

const UPDATE = `mutation($input: UpdateMySettingsInput!) { updateMySettings(input: $input) {
  ... on UpdateMySettingsSuccess { settings { powerLevel preferences } }
  ... on Error { code } ... on ValidationError { issues { path message } } } }`;

let server: TestServer;
let id: string;
let credential: Credential;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

let count = 0;
beforeEach(async () => {
  const email = `user-${count++}@example.com`;
  const user = await changeAccounts(server.services, (tx, revision) =>
    tx.user.create({ data: { email, passwordHash: 'none', revision } }),
  );
  id = user.id;
  credential = { token: await server.services.tokens.sign(id) };
});

async function mySettings(as: Credential = credential): Promise<Settings> {
  const { data, errors } = await server.query<{ mySettings: Settings }, object>(
    '{ mySettings { powerLevel preferences } }',
    {},
    as,
  );
  expect(errors).toEqual([]);
  return data.mySettings;
}

async function update(input: object, as: Credential = credential) {
  const { data, errors } = await server.query<
    { updateMySettings: { settings: Settings; code?: string; issues?: { path: string; message: string }[] } },
    object
  >(UPDATE, { input }, as);
  expect(errors).toEqual([]);
  return data.updateMySettings;
}

const known = async (on = server) => on.services.accounts.account(id);

test('are BALANCED and empty until somebody says otherwise, and what is not said stays', async () => {
  expect(await mySettings()).toEqual({ powerLevel: 'BALANCED', preferences: {} });
  const preferences = { theme: 'dark', columns: ['cost', 'latency'] };
  expect((await update({ preferences })).settings).toEqual({ powerLevel: 'BALANCED', preferences });
  expect((await update({ powerLevel: 'ECO', preferences: null })).settings).toEqual({ powerLevel: 'ECO', preferences });
  expect((await update({ preferences: { theme: 'light' } })).settings.preferences).toEqual({ theme: 'light' });
  expect(await mySettings()).toEqual({ powerLevel: 'ECO', preferences: { theme: 'light' } });
});

test('are one’s own: another user’s stay', async () => {
  const admin = await mySettings({ token: server.admin });
  await update({ powerLevel: 'PRECISION' });
  expect(await mySettings({ token: server.admin })).toEqual(admin);
});

test('are those of the owner, by an admin API key', async () => {
  const admin = await server.services.prisma.user.findFirstOrThrow({ where: { role: 'ADMIN' } });
  const caller: Caller = { kind: 'USER', account: admin, expiresAt: Number.MAX_SAFE_INTEGER };
  const { key } = await createApiKey(server.services, caller, { name: 'k', ownerId: id, isAdmin: true });
  await update({ powerLevel: 'ECO' }, { apiKey: key });
  expect((await mySettings()).powerLevel).toBe('ECO');
});

test.each([
  ['preferences that are no object', { preferences: 'dark' }, 'preferences', /object/],
  ['preferences of more than 16 KiB', { preferences: { text: 'ä'.repeat(8_192) } }, 'preferences', /16 KiB/],
])('refuse %s, and change nothing', async (_what, input, path, message) => {
  const refused = await update({ powerLevel: 'ECO', ...input });
  expect(refused.issues).toEqual([{ path, message: expect.stringMatching(message) }]);
  expect(await mySettings()).toEqual({ powerLevel: 'BALANCED', preferences: {} });
});

test('reach the gateway’s memory with the answer, and that of other servers within a second', async () => {
  const peer = await startPeer(server);
  try {
    expect((await known())?.powerLevel).toBe('BALANCED');
    expect((await known(peer))?.powerLevel).toBe('BALANCED');
    await update({ powerLevel: 'PRECISION' });
    const here = server.services.accounts.account(id);
    expect(here).not.toBeInstanceOf(Promise);
    expect(await here).toMatchObject({ powerLevel: 'PRECISION' });
    await until(async () => (await known(peer))?.powerLevel === 'PRECISION', 'the other server to know it', 1_000);
  } finally {
    await peer.close();
  }
});

test('of many changes at once none is half of one and half of another', async () => {
  const levels = ['ECO', 'BALANCED', 'PRECISION'];
  await Promise.all(
    levels.flatMap((powerLevel) => [1, 2, 3].map(() => update({ powerLevel, preferences: { powerLevel } }))),
  );
  const { powerLevel, preferences } = await mySettings();
  expect(preferences).toEqual({ powerLevel });
  expect((await known())?.powerLevel).toBe(powerLevel);
});
