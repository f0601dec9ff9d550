import { randomBytes } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
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
async function writeWhole(file: string, text: string): Promise<void> {
  const unfinished = await open(`${file}.new`, 'w', 0o600);
  await unfinished.writeFile(text);
  await unfinished.sync();
  await unfinished.close();
  await rename(`${file}.new`, file);
  const folder = await open(dirname(file), 'r');
  await folder.sync();
  await folder.close();
}
