import { afterAll, beforeAll, expect, test } from 'vitest';
import { changeAccounts } from '../../../src/control/accounts/change-accounts.ts';
import { until } from '../../kit/eventually.ts';
import { startServer, type TestServer } from '../../kit/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

interface Changed {
  version: string;
  changedBy: string | null;
  changes: { action: string; subject: string; name: string }[];
}

const CHANGED = `subscription { configurationChanged { version changedAt changedBy changes { action subject name } } }`;

function follow(credential?: Parameters<TestServer['ws']>[0]) {
  const events: Changed[] = [];
  const errors: unknown[] = [];
  const stop = server.ws(credential).subscribe<{ configurationChanged: Changed }>(
    { query: CHANGED },
    {
      next: ({ data, errors: failed }) => {
        if (data) events.push(data.configurationChanged);
        if (failed) errors.push(...failed);
      },
      error: (error) => errors.push(error),
      complete: () => undefined,
    },
  );
  return { events, errors, stop };
}

async function untilFollowed(count: number): Promise<void> {
  await until(() => server.services.feed.subscribers('CONFIGURATION') === count, `${count} subscribers`);
}

test('tells an admin what was changed, by whom, in order, once it is served', async () => {
  const { events, stop } = follow();
  await untilFollowed(1);
  await server.query(`mutation { createProvider(input: { name: "Watched", kind: CUSTOM, baseUrl: "http://127.0.0.1:1/v1" })
    { __typename } }`);
  await server.query(`mutation { updateProvider(input: { id: "watched", priority: 7 }) { __typename } }`);
  await server.query(`mutation { activateProvider(id: "sandbox") { __typename } }`);
  await until(() => events.length === 3, 'three changes');
  const { data } = await server.query<{ me: { id: string } }, unknown>('{ me { id } }');
  expect(events.map(({ changes }) => changes)).toEqual([
    [{ action: 'CREATED', subject: 'PROVIDER', name: 'watched' }],
    [{ action: 'UPDATED', subject: 'PROVIDER', name: 'watched' }],
    [{ action: 'ACTIVATED', subject: 'PROVIDER', name: 'sandbox' }],
  ]);
  expect(new Set(events.map(({ changedBy }) => changedBy))).toEqual(new Set([data.me.id]));
  const versions = events.map(({ version }) => BigInt(version));
  expect(versions[2]).toBe((versions[0] ?? 0n) + 2n);
  expect(server.services.snapshots.current.version).toBe(versions[2]);
  stop();
  await untilFollowed(0);
});

test('a change that is refused is not told', async () => {
  const { events, stop } = follow();
  await untilFollowed(1);
  await server.query(`mutation { activateProvider(id: "no-such-provider") { __typename } }`);
  await server.query(`mutation { updateProvider(input: { id: "sandbox", priority: 3 }) { __typename } }`);
  await until(() => events.length > 0, 'a change');
  expect(events).toMatchObject([{ changes: [{ name: 'sandbox', action: 'UPDATED' }] }]);
  stop();
  await untilFollowed(0);
});

test('an admin who loses the role gets nothing more', async () => {
  const { services } = server;
  const data = { email: 'second@example.com', passwordHash: '-', role: 'ADMIN' as const };
  const { id } = await changeAccounts(services, (tx, revision) => tx.user.create({ data: { ...data, revision } }));
  const { events, errors } = follow({ token: await services.tokens.sign(id) });
  await untilFollowed(1);
  await server.query(`mutation { updateProvider(input: { id: "sandbox", priority: 4 }) { __typename } }`);
  await until(() => events.length === 1, 'a change');
  await changeAccounts(services, (tx, revision) => tx.user.update({ where: { id }, data: { role: 'USER', revision } }));
  await server.query(`mutation { updateProvider(input: { id: "sandbox", priority: 5 }) { __typename } }`);
  await until(() => errors.length > 0, 'a denial');
  expect(events).toHaveLength(1);
  expect(JSON.stringify(errors)).toContain('FORBIDDEN');
  await untilFollowed(0);
});
