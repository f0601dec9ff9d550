import { createCipheriv, createDecipheriv, createHash, hash, randomBytes } from 'node:crypto';

/** The first byte of what is sealed today. What the first version sealed begins with its nonce. */
const FORMAT = 2;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A sealed secret and the version of the master key that sealed it. */
export interface Sealed {
  ciphertext: Uint8Array<ArrayBuffer>;
  masterKeyVersion: number;
}

export type MasterKeys = ReadonlyMap<number, Buffer>;

/**
 * AES-256-GCM under versioned master keys. A context is authenticated with the secret: what it is for, and the row it
 * stands in. So a ciphertext that is moved to another row, or to another table, does not open.
 */
export class SecretBox {
  #keys: MasterKeys;
  readonly #reload: (() => Promise<MasterKeys>) | null;

  /**
   * @param keys 32-byte master keys by version; the highest version seals
   * @param reload reads them again, where they may become more while this process runs
   */
  constructor(keys: MasterKeys, reload: (() => Promise<MasterKeys>) | null = null) {
    this.#keys = keys;
    this.#reload = reload;
  }

  /** The version that seals. */
  get current(): number {
    return Math.max(...this.#keys.keys());
  }

  /** Reads the master keys again if one of these versions is missing: another process may have added it. */
  async learn(versions: Iterable<number>): Promise<void> {
    if (this.#reload === null || [...versions].every((version) => this.#keys.has(version))) return;
    this.#keys = new Map([...this.#keys, ...(await this.#reload())]);
  }

  seal(secret: string, context: string): Sealed {
    const version = this.current;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key(version), nonce);
    cipher.setAAD(Buffer.from(context));
    const parts = [Buffer.of(FORMAT), nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()];
    return { ciphertext: new Uint8Array(Buffer.concat(parts)), masterKeyVersion: version };
  }

  /**
   * @param firstContext the context under which the first version of Signalbox sealed; null: it sealed nothing here
   * @throws when the master key is missing, or the ciphertext or its context was changed.
   */
  open(
    { ciphertext, masterKeyVersion }: { ciphertext: Uint8Array; masterKeyVersion: number },
    context: string,
    firstContext: string | null = null,
  ): string {
    const key = this.#key(masterKeyVersion);
    const bytes = Buffer.from(ciphertext);
    if (firstContext === null) return decrypt(key, bytes, context);
    try {
      return decrypt(key, bytes, context);
    } catch {
      // One nonce in 256 begins like the format, so only the tag tells them apart.
      return decryptFirst(key, bytes, firstContext);
    }
  }

  #key(version: number): Buffer {
    const key = this.#keys.get(version);
    if (!key) throw new Error(`ENCRYPTION_KEY has no version ${version}, which sealed a stored provider key.`);
    return key;
  }
}

function decrypt(key: Buffer, bytes: Buffer, context: string): string {
  if (bytes[0] !== FORMAT) throw new Error('The ciphertext has another format.');
  return decryptFirst(key, bytes.subarray(1), context);
}

/** What has no format: nonce, ciphertext, tag. */
function decryptFirst(key: Buffer, bytes: Buffer, context: string): string {
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
}

/** SHA-256 of an API key; API keys are random, so a plain hash is enough and costs microseconds. */
export function hashApiKey(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}

export function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
