import { randomBytes } from 'node:crypto';
import { ownKeyContext, systemKeyContext } from '../../src/gateway/snapshot/seal-context.ts';
import type { PrismaClient } from '../../src/generated/prisma/client.ts';
import type { MasterKeys } from '../../src/platform/crypto.ts';
import { SecretBox } from '../../src/platform/crypto.ts';
import { uuidv7 } from '../../src/platform/ids.ts';

/** Stores keys of one provider, sealed as they are today and as they once were, and a key of some users. */
export async function storeKeys(prisma: PrismaClient, box: SecretBox, counts: { system: number; own: number }) {
  const secrets = new Map<string, string>();
  const newSecret = (id: string) => {
    const secret = `sk-${randomBytes(16).toString('hex')}`;
    secrets.set(id, secret);
    return secret;
  };
  const { id: providerId } = await prisma.provider.create({ data: { slug: 'p', name: 'P', kind: 'CUSTOM' } });
  const system = Array.from({ length: counts.system }, (_, index) => {
    const id = uuidv7();
    const secret = newSecret(id);
    const sealed =
      index % 4 === 0 ? sealFirst(box, secret, id) : box.seal(secret, systemKeyContext({ id, providerId }));
    return { id, providerId, name: `key ${index}`, hint: '…', ...sealed };
  });
  await prisma.providerKey.createMany({ data: system });
  const users = Array.from({ length: counts.own }, () => ({ id: uuidv7(), email: `${uuidv7()}@x`, passwordHash: '-' }));
  await prisma.user.createMany({ data: users });
  await prisma.userProviderKey.createMany({
    data: users.map(({ id: userId }) => {
      const id = uuidv7();
      return {
        id,
        userId,
        providerId,
        hint: '…',
        ...box.seal(newSecret(id), ownKeyContext({ id, userId, providerId })),
      };
    }),
  });
  return secrets;
}

/** As the first version of Signalbox sealed: with the row's id alone, and without a format. */
function sealFirst(box: SecretBox, secret: string, id: string) {
  const { ciphertext, masterKeyVersion } = box.seal(secret, id);
  return { ciphertext: ciphertext.slice(1), masterKeyVersion };
}

/** Opens every stored key: its secret by its id, and how many each master key seals. */
export async function openAll(prisma: PrismaClient, masterKeys: MasterKeys) {
  const box = new SecretBox(masterKeys);
  const system = await prisma.providerKey.findMany();
  const own = await prisma.userProviderKey.findMany();
  const counts = new Map<number, number>();
  for (const { masterKeyVersion } of [...system, ...own])
    counts.set(masterKeyVersion, (counts.get(masterKeyVersion) ?? 0) + 1);
  const secrets = new Map([
    ...system.map((row) => [row.id, box.open(row, systemKeyContext(row), row.id)] as const),
    ...own.map((row) => [row.id, box.open(row, ownKeyContext(row))] as const),
  ]);
  return { secrets, counts };
}
