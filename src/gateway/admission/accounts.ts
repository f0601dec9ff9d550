import type { Pool } from 'pg';
import { hashApiKey, type SecretBox } from '../../platform/crypto.ts';
import { OverloadedError } from '../../platform/errors.ts';
import type { Log } from '../../platform/log.ts';
import type { PowerLevel } from '../routing/power-level.ts';
import { ownKeyContext } from '../snapshot/seal-context.ts';
import type { ProviderKey } from '../snapshot/snapshot.ts';
import type { Account, IssuedKey, Role, Tier } from './caller.ts';

/** The channel on which a change of users or API keys tells its revision. */
export const ACCOUNTS_CHANNEL = 'signalbox_accounts';

/** Entries kept of each kind; the oldest go first. */
const LIMIT = 100_000;
/** How often account changes are read in case a notification was lost. */
const POLL_MS = 1_000;

interface KeyRow {
  hash: Buffer;
  id: string;
  owner_id: string;
  name: string;
  is_admin: boolean;
  allowed_routes: string[];
  rate_limit_per_minute: number | null;
  expires_at: Date | null;
  revoked_at: Date | null;
}

interface AccountRow {
  id: string;
  email: string;
  name: string | null;
  role: Role;
  tier: Tier;
  is_active: boolean;
  power_level: PowerLevel;
  /** Null: none. */
  own_keys: OwnKeyRow[] | null;
  /** Null: no credits were granted. */
  credits_id: string | null;
}

interface OwnKeyRow {
  id: string;
  providerId: string;
  /** Base64. */
  ciphertext: string;
  masterKeyVersion: number;
}

interface AccountSource {
  pool: Pool;
  secretBox: SecretBox;
  log: Log;
}

const KEY_COLUMNS = `hash, id, owner_id, name, is_admin, COALESCE(allowed_routes, '{}') AS allowed_routes,
  rate_limit_per_minute, expires_at, revoked_at`;
const ACCOUNT_COLUMNS = `id, email, name, role::text, tier::text, is_active, power_level::text,
  (SELECT json_agg(json_build_object('id', k.id, 'providerId', k.provider_id,
                                     'ciphertext', encode(k.ciphertext, 'base64'),
                                     'masterKeyVersion', k.master_key_version))
     FROM user_provider_keys k WHERE k.user_id = users.id) AS own_keys,
  (SELECT a.id FROM allowances a WHERE a.user_id = users.id) AS credits_id`;

/**
 * Accounts with their own provider keys, and API keys, in memory. The first use of one reads it; from then on changes come by revision, so a known
 * caller costs no query. That a key does not exist is remembered too.
 */
export class AccountCache {
  readonly #pool: Pool;
  readonly #secretBox: SecretBox;
  readonly #log: Log;
  readonly #keys = new Map<string, IssuedKey | null>();
  readonly #accounts = new Map<string, Account | null>();
  readonly #pending = new Map<string, Promise<unknown>>();
  readonly #timer: NodeJS.Timeout;
  #revision: bigint;
  #refreshing: Promise<void> | null = null;

  private constructor({ pool, secretBox, log }: AccountSource, revision: bigint) {
    this.#pool = pool;
    this.#secretBox = secretBox;
    this.#log = log;
    this.#revision = revision;
    this.#timer = setInterval(() => void this.#poll(), POLL_MS);
    this.#timer.unref();
  }

  static async open(source: AccountSource): Promise<AccountCache> {
    return new AccountCache(source, await readRevision(source.pool));
  }

  /** The key by its secret, or null if there is none. A promise only when it is not in memory yet. */
  key(secret: string): IssuedKey | null | Promise<IssuedKey | null> {
    const hash = hashApiKey(secret);
    const name = hash.toString('base64');
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    return this.#once(`key ${name}`, async () => {
      const { rows } = await this.#query<KeyRow>(`SELECT ${KEY_COLUMNS} FROM api_keys WHERE hash = $1`, [hash]);
      return remember(this.#keys, name, rows[0] ? toKey(rows[0]) : null);
    });
  }

  /** The account by its id, or null if there is none. A promise only when it is not in memory yet. */
  account(id: string): Account | null | Promise<Account | null> {
    const known = this.#accounts.get(id);
    if (known !== undefined) return known;
    return this.#once(`account ${id}`, async () => {
      const { rows } = await this.#query<AccountRow>(`SELECT ${ACCOUNT_COLUMNS} FROM users WHERE id = $1`, [id]);
      return remember(this.#accounts, id, rows[0] ? await this.#toAccount(rows[0]) : null);
    });
  }

  /** Reads what has changed since the last time. */
  async refresh(): Promise<void> {
    // A reading that is under way may have begun before the change that the caller wants to see.
    if (this.#refreshing) await this.#refreshing.catch(() => undefined);
    this.#refreshing ??= this.#readChanges().finally(() => {
      this.#refreshing = null;
    });
    return this.#refreshing;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #readChanges(): Promise<void> {
    // The head first: what commits between the readings is read again the next time.
    const head = await readRevision(this.#pool);
    if (head === this.#revision) return;
    const since = [this.#revision.toString()];
    const keys = await this.#pool.query<KeyRow>(`SELECT ${KEY_COLUMNS} FROM api_keys WHERE revision > $1`, since);
    const accounts = await this.#pool.query<AccountRow>(
      `SELECT ${ACCOUNT_COLUMNS} FROM users WHERE revision > $1`,
      since,
    );
    for (const row of keys.rows) remember(this.#keys, row.hash.toString('base64'), toKey(row));
    for (const row of accounts.rows) remember(this.#accounts, row.id, await this.#toAccount(row));
    this.#revision = head;
  }

  async #poll(): Promise<void> {
    try {
      await this.refresh();
    } catch (error) {
      this.#log.warn({ err: error }, 'account changes could not be read; going on with those in memory');
    }
  }

  async #toAccount({ own_keys, ...row }: AccountRow): Promise<Account> {
    await this.#secretBox.learn((own_keys ?? []).map(({ masterKeyVersion }) => masterKeyVersion));
    const { id, email, name, role, tier, is_active, power_level, credits_id } = row;
    return {
      ...{ id, email, name, role, tier, isActive: is_active, powerLevel: power_level },
      ...(own_keys && { ownKeys: new Map(own_keys.map((key) => [key.providerId, this.#openOwnKey(key, id)])) }),
      ...(credits_id !== null && { creditsId: credits_id }),
    };
  }

  #openOwnKey({ id, providerId, ciphertext, masterKeyVersion }: OwnKeyRow, userId: string): ProviderKey | null {
    try {
      const sealed = { ciphertext: Buffer.from(ciphertext, 'base64'), masterKeyVersion };
      return { id, secret: this.#secretBox.open(sealed, ownKeyContext({ id, userId, providerId })), weight: 1 };
    } catch (error) {
      this.#log.error({ err: error, userId, providerId }, "a user's own provider key could not be decrypted");
      return null;
    }
  }

  #once<T>(name: string, read: () => Promise<T>): Promise<T> {
    const pending = this.#pending.get(name) as Promise<T> | undefined;
    if (pending) return pending;
    const reading = this.#readSettled(read).finally(() => this.#pending.delete(name));
    this.#pending.set(name, reading);
    return reading;
  }

  /** Reads again if an account change was taken in meanwhile: the reading may have seen the state before it. */
  async #readSettled<T>(read: () => Promise<T>): Promise<T> {
    for (;;) {
      const before = this.#revision;
      const result = await read();
      if (this.#revision === before) return result;
    }
  }

  async #query<Row extends object>(sql: string, values: unknown[]) {
    try {
      return await this.#pool.query<Row>(sql, values);
    } catch (error) {
      this.#log.warn({ err: error }, 'an account could not be read');
      throw new OverloadedError('The database is away, so this key or user cannot be checked. Try again shortly.');
    }
  }
}

async function readRevision(pool: Pool): Promise<bigint> {
  const { rows } = await pool.query<{ revision: string }>('SELECT revision FROM accounts_head WHERE id = 1');
  return BigInt(rows[0]?.revision ?? 0);
}

function remember<T>(cache: Map<string, T>, name: string, value: T): T {
  if (cache.size >= LIMIT && !cache.has(name)) cache.delete(cache.keys().next().value as string);
  cache.set(name, value);
  return value;
}

function toKey(row: KeyRow): IssuedKey {
  return {
    id: row.id,
    ownerId: row.owner_id,
    name: row.name,
    isAdmin: row.is_admin,
    allowedRoutes: row.allowed_routes,
    rateLimitPerMinute: row.rate_limit_per_minute,
    expiresAt: row.expires_at?.getTime() ?? null,
    revokedAt: row.revoked_at?.getTime() ?? null,
  };
}
