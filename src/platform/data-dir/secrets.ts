import { randomBytes } from 'node:crypto';
import { chown, open, readFile, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { StartError } from '../start-error.ts';

/** Made at the first start with the embedded Postgres, and needed for as long as its database. */
export interface Secrets {
  /** Signs sign-in tokens. */
  jwtSecret: string;
  /** Master keys of 32 bytes, by version. */
  encryptionKeys: Map<number, Buffer>;
}

const File = z.object({
  jwtSecret: z.string().min(32),
  encryptionKeys: z.record(z.string().regex(/^\d{1,6}$/), z.base64().length(44)),
});

/**
 * Reads the secrets in `file`, or makes them when there is no such file.
 * @throws StartError when the file is damaged; new secrets would make what the old ones encrypted unreadable.
 */
export async function readOrMakeSecrets(file: string): Promise<Secrets> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw new StartError(`${file} cannot be read (${error.code}); start Signalbox as the user that owns it.`);
  });
  if (text !== null) return parse(text, file);
  const made = {
    jwtSecret: randomBytes(48).toString('base64'),
    encryptionKeys: { 1: randomBytes(32).toString('base64') },
  };
  await writeWhole(file, `${JSON.stringify(made, null, 2)}\n`);
  return parse(JSON.stringify(made), file);
}

/**
 * Adds a master key in `file`, with a version above all others, and keeps the rest: what they sealed is also in backups.
 * Processes that run read it when they meet the new version.
 * @returns all master keys
 * @throws StartError when the file cannot be read or is damaged.
 */
export async function addMasterKey(file: string): Promise<Map<number, Buffer>> {
  const { jwtSecret, encryptionKeys } = await readOrMakeSecrets(file);
  encryptionKeys.set(Math.max(...encryptionKeys.keys()) + 1, randomBytes(32));
  const encoded = [...encryptionKeys].map(([version, key]) => [version, key.toString('base64')]);
  const { uid, gid } = await stat(file);
  await writeWhole(
    file,
    `${JSON.stringify({ jwtSecret, encryptionKeys: Object.fromEntries(encoded) }, null, 2)}\n`,
    // Root may do this for a server that runs as another user.
    (unfinished) => chown(unfinished, uid, gid),
  );
  return encryptionKeys;
}

function parse(text: string, file: string): Secrets {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = null;
  }
  const parsed = File.safeParse(json);
  if (!parsed.success)
    throw new StartError(`${file} is damaged; put back a copy of it, or set JWT_SECRET and ENCRYPTION_KEY.`);
  const { jwtSecret, encryptionKeys } = parsed.data;
  const keys = Object.entries(encryptionKeys).map(([version, key]) => [Number(version), Buffer.from(key, 'base64')]);
  return { jwtSecret, encryptionKeys: new Map(keys as [number, Buffer][]) };
}

/** After a power cut there is the whole file or none. */
async function writeWhole(
  file: string,
  text: string,
  prepare: (unfinished: string) => Promise<void> = async () => undefined,
): Promise<void> {
  const unfinished = await open(`${file}.new`, 'w', 0o600);
  await unfinished.writeFile(text);
  await unfinished.sync();
  await unfinished.close();
  await prepare(`${file}.new`);
  await rename(`${file}.new`, file);
  const folder = await open(dirname(file), 'r');
  await folder.sync();
  await folder.close();
}
