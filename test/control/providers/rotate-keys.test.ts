import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { countByMasterKey, rotateKeys } from '../../../src/control/providers/rotate-keys.ts';
import { systemKeyContext } from '../../../src/gateway/snapshot/seal-context.ts';
import { SecretBox } from '../../../src/platform/crypto.ts';
import { createPrisma } from '../../../src/platform/database/prisma.ts';
import { createDatabase } from '../../kit/database.ts';
import { openAll, storeKeys } from '../../process/sealed-keys.ts';

const masterKeys = new Map([1, 2].map((version) => [version, randomBytes(32)]));
const box = new SecretBox(masterKeys);
const before = new SecretBox(new Map([...masterKeys].slice(0, 1)));

async function databaseWithKeys() {
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const prisma = createPrisma(database.connection, 2);
  onTestFinished(() => prisma.$disconnect());
  const client = new pg.Client(database.connection);
  await client.connect();
  onTestFinished(() => client.end());
  const secrets = await storeKeys(prisma, before, { system: 45, own: 5 });
  return { prisma, client, secrets };
}

test('seals all keys, of providers and of users, with the newest master key, and tells how far it is', async () => {
  const { prisma, client, secrets } = await databaseWithKeys();
  const progress: number[] = [];
  expect(await rotateKeys(client, box, (sealed) => progress.push(sealed))).toEqual([]);
  expect(progress).toEqual([20, 40, 45, 50]);
  expect(await countByMasterKey(client)).toEqual(new Map([[2, 50]]));
  expect((await openAll(prisma, masterKeys)).secrets).toEqual(secrets);
});

test('a key that is changed while it is being sealed keeps what it was changed to', async () => {
  const { prisma, client, secrets } = await databaseWithKeys();
  const { id, providerId } = await prisma.providerKey.findFirstOrThrow({ orderBy: { id: 'asc' } });
  let isChanged = false;
  const interrupted = {
    async query(sql: string, values: unknown[]) {
      if (sql.startsWith('UPDATE provider_keys') && !isChanged) {
        isChanged = true;
        const data = before.seal('set meanwhile', systemKeyContext({ id, providerId }));
        await prisma.providerKey.update({ where: { id }, data });
      }
      return client.query(sql, values);
    },
  } as unknown as pg.Client;
  expect(await rotateKeys(interrupted, box, () => undefined)).toEqual([]);
  expect(isChanged).toBe(true);
  const now = await openAll(prisma, masterKeys);
  expect(now.secrets).toEqual(new Map([...secrets, [id, 'set meanwhile']]));
  expect(now.counts).toEqual(new Map([[2, 50]]));
});

test('a key that cannot be opened stays as it is, and is named', async () => {
  const { prisma, client } = await databaseWithKeys();
  const damaged = await prisma.providerKey.findFirstOrThrow({ orderBy: { id: 'desc' } });
  await prisma.providerKey.update({ where: { id: damaged.id }, data: { ciphertext: new Uint8Array(40) } });
  const moved = await prisma.userProviderKey.findFirstOrThrow();
  const [other] = await prisma.provider.createManyAndReturn({ data: [{ slug: 'q', name: 'Q', kind: 'CUSTOM' }] });
  await prisma.userProviderKey.update({ where: { id: moved.id }, data: { providerId: other?.id ?? '' } });
  expect(await rotateKeys(client, box, () => undefined)).toEqual([damaged.id, moved.id]);
  expect(await countByMasterKey(client)).toEqual(
    new Map([
      [1, 2],
      [2, 48],
    ]),
  );
});
