import { createCipheriv, createDecipheriv, createHash, hash, randomBytes } from 'node:crypto';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A sealed secret and the version of the master key that sealed it. */
export interface Sealed {
  ciphertext: Uint8Array<ArrayBuffer>;
  masterKeyVersion: number;
}

/**
 * AES-256-GCM under versioned master keys. `context` is authenticated with the secret (the row's id, for example),
 * so a ciphertext moved to another row does not open.
 */
export class SecretBox {
  readonly #keys: ReadonlyMap<number, Buffer>;
  readonly #current: number;

  /** @param keys 32-byte master keys by version; the highest version seals. */
  constructor(keys: ReadonlyMap<number, Buffer>) {
    this.#keys = keys;
    this.#current = Math.max(...keys.keys());
  }

  seal(secret: string, context: string): Sealed {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key(this.#current), nonce);
    cipher.setAAD(Buffer.from(context));
    const sealed = Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return { ciphertext: new Uint8Array(sealed), masterKeyVersion: this.#current };
  }

  /** @throws when the master key is missing, or the ciphertext or its context was changed. */
  open(sealed: { ciphertext: Uint8Array; masterKeyVersion: number }, context: string): string {
    const bytes = Buffer.from(sealed.ciphertext);
    const decipher = createDecipheriv(
      'aes-256-gcm',
      this.#key(sealed.masterKeyVersion),
      bytes.subarray(0, NONCE_BYTES),
    );
    decipher.setAAD(Buffer.from(context));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
  }

  #key(version: number): Buffer {
    const key = this.#keys.get(version);
    if (!key) throw new Error(`ENCRYPTION_KEY has no version ${version}, which sealed a stored provider key.`);
    return key;
  }
}

/** SHA-256 of an API key; API keys are random, so a plain hash is enough and costs microseconds. */
export function hashApiKey(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}

export function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
