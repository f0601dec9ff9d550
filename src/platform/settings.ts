import { resolve } from 'node:path';
import { IANAZone } from 'luxon';
import { z } from 'zod';

/** A setting is missing or wrong. The message is one sentence that names it and says what would fix it. */
export class SettingsError extends Error {}

const flag = z.enum(['true', 'false', '1', '0']).transform((text) => text === 'true' || text === '1');
const whole = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/)
    .transform(Number)
    .refine((value) => value >= min && value <= max);

interface Entry {
  schema: z.ZodType<unknown, string>;
  /** Text as it would stand in the environment; undefined: the setting may be absent. */
  fallback?: string;
  /** Completes "NAME must be …". */
  must: string;
  about: string;
}

const entry = <T>(schema: z.ZodType<T, string>, must: string, about: string, fallback?: string) =>
  ({ schema, must, about, ...(fallback === undefined ? {} : { fallback }) }) as Entry & {
    schema: z.ZodType<T, string>;
  };

const KEY = /^[A-Za-z0-9+/_=-]{43,44}$|^[0-9a-fA-F]{64}$/;

/** Every setting there is. The README's table and `--help` are made from this. */
export const SETTINGS = {
  PORT: entry(whole(0, 65535), 'a port number from 0 to 65535', 'Port to listen on; 0 takes a free one.', '4000'),
  HOST: entry(z.string().min(1), 'an address to listen on', 'Address to listen on; 0.0.0.0 for all.', '127.0.0.1'),
  DATA_DIR: entry(
    z.string().min(1),
    'a folder',
    'Where the journal, the secrets and the embedded Postgres live.',
    '.signalbox',
  ),
  DATABASE_URL: entry(
    z.string().regex(/^postgres(ql)?:\/\//),
    'a postgresql:// address',
    'A Postgres (14 or later) to use. Unset: an embedded one in DATA_DIR.',
  ),
  DATABASE_POOL_MAX: entry(whole(2, 500), 'a number from 2 to 500', 'Most connections of the control plane.', '20'),
  ADMIN_EMAIL: entry(z.email(), 'an e-mail address', 'Admin created at the first start.', 'admin@signalbox.local'),
  ADMIN_PASSWORD: entry(
    z.string().min(8).max(200),
    'a password of 8 to 200 characters',
    "That admin's password. Unset: one is made and printed once.",
  ),
  BOOTSTRAP_API_KEY: entry(
    z.string().regex(/^sbx_[A-Za-z0-9_-]{24,200}$/),
    'sbx_ followed by 24 to 200 letters, digits, - or _',
    'An admin API key to create at the first start. Unset: one is made and printed once.',
  ),
  JWT_SECRET: entry(
    z.string().min(32),
    'at least 32 characters',
    'Signs sign-in tokens. Made in DATA_DIR with the embedded Postgres, required with DATABASE_URL.',
  ),
  JWT_EXPIRES_IN_SECONDS: entry(
    whole(60, 2_592_000),
    'a number of seconds from 60 to 2592000',
    'How long a sign-in token is valid.',
    '86400',
  ),
  ENCRYPTION_KEY: entry(
    z
      .string()
      .refine((text) => text.split(',').every((part) => /^(\d{1,6}:)?/.test(part) && KEY.test(unversioned(part)))),
    '32 bytes in base64 or hex, or several as 1:<key>,2:<key>',
    'Encrypts provider keys. Made in DATA_DIR with the embedded Postgres, required with DATABASE_URL. The highest version encrypts.',
  ),
  CORS_ORIGINS: entry(
    z
      .string()
      .transform((text) =>
        text
          .split(',')
          .map((part) => part.trim())
          .filter(Boolean),
      )
      .refine((list) => list.every((origin) => origin === '*' || URL.canParse(origin))),
    'a comma-separated list of origins such as https://app.example.com, or *',
    'Browser origins that may call the server.',
    '',
  ),
  LOG_LEVEL: entry(
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']),
    'one of trace, debug, info, warn, error, fatal, silent',
    'How much to log.',
    'info',
  ),
  ANONYMOUS_COMPLETIONS: entry(
    flag,
    'true or false',
    'Allow completions without a key, as tier FREE, limited per address.',
    'false',
  ),
  RATE_LIMIT_PER_MINUTE: entry(
    whole(0, 10_000_000),
    'a number; 0 switches it off',
    'Requests a minute for each client address that is not signed in.',
    '1000',
  ),
  TRUST_PROXY: entry(
    flag,
    'true or false',
    'Take the client address from X-Forwarded-For. Only behind a proxy that sets it.',
    'false',
  ),
  BODY_LIMIT_BYTES: entry(
    whole(1024, 1_073_741_824),
    'a number of bytes from 1024 to 1073741824',
    'Largest request body.',
    '20971520',
  ),
  HEADER_HOLD_MS: entry(
    whole(100, 600_000),
    'milliseconds from 100 to 600000',
    'How long a streaming client waits for its headers while providers are tried, before comment pings begin.',
    '10000',
  ),
  FIRST_TOKEN_TIMEOUT_MS: entry(
    whole(100, 3_600_000),
    'milliseconds from 100 to 3600000',
    'How long a provider may take until its first token of a stream.',
    '60000',
  ),
  STALL_TIMEOUT_MS: entry(
    whole(100, 3_600_000),
    'milliseconds from 100 to 3600000',
    'How long a stream may pause between two events.',
    '60000',
  ),
  CIRCUIT_PROBE_SECONDS: entry(
    whole(0, 3_600),
    'seconds from 0 to 3600; 0 switches it off',
    'How long a target that failed again and again is left alone before one request may see how it does.',
    '10',
  ),
  RESPONSE_CACHE_MIB: entry(
    whole(1, 65_536),
    'a number of MiB from 1 to 65536',
    'Most memory for the cached answers of routes that have a response cache.',
    '64',
  ),
  DECISION_RETENTION_DAYS: entry(
    whole(2, 3_650),
    'a number of days from 2 to 3650',
    'How long `explainRoute` can tell why a request went where it did.',
    '30',
  ),
  PROVIDER_TESTS: entry(
    z.enum(['on', 'off']),
    'on or off',
    'Test a provider by a short completion when it is created or gets a key.',
    'on',
  ),
  PROVIDER_PROBE_INTERVAL_SECONDS: entry(
    whole(0, 86_400),
    'seconds from 0 to 86400; 0 switches it off',
    'How often a provider without traffic is asked for its list of models, to know whether it is there.',
    '60',
  ),
  PROVIDER_TEST_TIMEOUT_MS: entry(
    whole(100, 600_000),
    'milliseconds from 100 to 600000',
    'How long the test, or a probe, of a provider may take.',
    '10000',
  ),
  MAX_RUNNING_COMPLETIONS: entry(
    whole(1, 1_000_000),
    'a number from 1 to 1000000',
    'Completions that may run at once on one server; more are refused with 503.',
    '5000',
  ),
  JOURNAL_FSYNC: entry(
    z.enum(['on', 'off']),
    'on or off',
    'off survives a killed process; on survives a power cut as well, for about half a millisecond a request.',
    'off',
  ),
  JOURNAL_MAX_MIB: entry(
    whole(64, 10_485_760),
    'a number of MiB from 64 to 10485760',
    'Most disk space for the journal while Postgres does not take it; beyond it completions are refused with 503.',
    '4096',
  ),
  LEDGER_RETENTION_MONTHS: entry(
    whole(0, 1_200),
    'a number of months from 0 to 1200; 0 keeps everything',
    'How long the rows of requests, attempts and usage events are kept, in whole months before the current one. Sums are kept for ever.',
    '0',
  ),
  TIME_ZONE: entry(
    z.string().refine((name) => IANAZone.isValidZone(name)),
    'a time zone such as Europe/Berlin',
    'Where the days, weeks and months of budgets begin; the same on every server.',
    'UTC',
  ),
  RESUME_GRACE: entry(
    whole(0, 3_600),
    'seconds from 0 to 3600',
    "How long a completion with a request id of the caller's goes on after the connection was lost.",
    '15',
  ),
  REPLAY_MIB: entry(
    whole(1, 65_536),
    'a number of MiB from 1 to 65536',
    'Most memory for finished answers that can be attached to again, for up to 10 minutes.',
    '64',
  ),
  SANDBOX_PORT: entry(
    whole(0, 65535),
    'a port number from 0 to 65535',
    'Port of the sandbox provider on loopback; 0 takes a free one.',
    '0',
  ),
} as const;

type Parsed = { [Name in keyof typeof SETTINGS]: z.output<(typeof SETTINGS)[Name]['schema']> };

/** Settings after parsing: typed, checked, and independent of the environment. */
export interface Settings {
  port: number;
  host: string;
  /** Absolute. */
  dataDir: string;
  databaseUrl: string | null;
  databasePoolMax: number;
  adminEmail: string;
  adminPassword: string | null;
  bootstrapApiKey: string | null;
  jwtSecret: string | null;
  jwtExpiresInSeconds: number;
  /** Master keys by version; null until made in DATA_DIR. */
  encryptionKeys: ReadonlyMap<number, Buffer> | null;
  corsOrigins: readonly string[];
  logLevel: Parsed['LOG_LEVEL'];
  anonymousCompletions: boolean;
  rateLimitPerMinute: number;
  trustProxy: boolean;
  bodyLimitBytes: number;
  headerHoldMs: number;
  firstTokenTimeoutMs: number;
  stallTimeoutMs: number;
  circuitProbeMs: number;
  responseCacheBytes: number;
  /** What decisions were made from is kept for so long. */
  decisionRetentionDays: number;
  /** Whether providers are tested when they are created or get a key. */
  providerTests: boolean;
  /** 0: providers are not probed. */
  providerProbeIntervalSeconds: number;
  providerTestTimeoutMs: number;
  maxRunningCompletions: number;
  journalFsync: boolean;
  /** Most bytes of the journal that are not in Postgres yet. */
  journalMaxBytes: number;
  /** Whole months before the current one; 0: everything is kept. */
  ledgerRetentionMonths: number;
  /** An IANA name. */
  timeZone: string;
  resumeGraceMs: number;
  replayBytes: number;
  sandboxPort: number;
  /** Provider keys found in the environment, by variable name: OPENAI_API_KEY and the like. */
  providerKeys: ReadonlyMap<string, string>;
}

/** Variables that hold a provider's key; stored encrypted at the first start. */
export const PROVIDER_KEY_VARIABLES = [
  'OPENAI_API_KEY',
  'ANTHROPIC_API_KEY',
  'GOOGLE_API_KEY',
  'OPENROUTER_API_KEY',
  'GROQ_API_KEY',
  'TOGETHER_API_KEY',
  'MISTRAL_API_KEY',
  'COHERE_API_KEY',
  'HUGGINGFACE_API_KEY',
] as const;

/**
 * Reads all settings from `env`. An empty value counts as unset.
 * @throws SettingsError that names the first setting that is wrong.
 */
export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const values = Object.fromEntries(
    Object.entries(SETTINGS).map(([name, setting]) => [name, parseOne(name, setting, env[name])]),
  ) as { [Name in keyof Parsed]: Parsed[Name] | null };
  const databaseUrl = values.DATABASE_URL;
  if (databaseUrl && !values.JWT_SECRET)
    throw new SettingsError(requiredWithDatabase('JWT_SECRET', 'openssl rand -base64 48'));
  if (databaseUrl && !values.ENCRYPTION_KEY)
    throw new SettingsError(requiredWithDatabase('ENCRYPTION_KEY', 'openssl rand -base64 32'));
  return {
    port: values.PORT as number,
    host: values.HOST as string,
    dataDir: resolve(values.DATA_DIR as string),
    databaseUrl,
    databasePoolMax: values.DATABASE_POOL_MAX as number,
    adminEmail: (values.ADMIN_EMAIL as string).toLowerCase(),
    adminPassword: values.ADMIN_PASSWORD,
    bootstrapApiKey: values.BOOTSTRAP_API_KEY,
    jwtSecret: values.JWT_SECRET,
    jwtExpiresInSeconds: values.JWT_EXPIRES_IN_SECONDS as number,
    encryptionKeys: values.ENCRYPTION_KEY ? parseMasterKeys(values.ENCRYPTION_KEY) : null,
    corsOrigins: values.CORS_ORIGINS ?? [],
    logLevel: values.LOG_LEVEL as Settings['logLevel'],
    anonymousCompletions: values.ANONYMOUS_COMPLETIONS as boolean,
    rateLimitPerMinute: values.RATE_LIMIT_PER_MINUTE as number,
    trustProxy: values.TRUST_PROXY as boolean,
    bodyLimitBytes: values.BODY_LIMIT_BYTES as number,
    headerHoldMs: values.HEADER_HOLD_MS as number,
    firstTokenTimeoutMs: values.FIRST_TOKEN_TIMEOUT_MS as number,
    stallTimeoutMs: values.STALL_TIMEOUT_MS as number,
    circuitProbeMs: (values.CIRCUIT_PROBE_SECONDS as number) * 1_000,
    responseCacheBytes: (values.RESPONSE_CACHE_MIB as number) * 1_048_576,
    decisionRetentionDays: values.DECISION_RETENTION_DAYS as number,
    providerTests: values.PROVIDER_TESTS === 'on',
    providerProbeIntervalSeconds: values.PROVIDER_PROBE_INTERVAL_SECONDS as number,
    providerTestTimeoutMs: values.PROVIDER_TEST_TIMEOUT_MS as number,
    maxRunningCompletions: values.MAX_RUNNING_COMPLETIONS as number,
    journalFsync: values.JOURNAL_FSYNC === 'on',
    journalMaxBytes: (values.JOURNAL_MAX_MIB as number) * 1_048_576,
    ledgerRetentionMonths: values.LEDGER_RETENTION_MONTHS as number,
    timeZone: values.TIME_ZONE as string,
    resumeGraceMs: (values.RESUME_GRACE as number) * 1_000,
    replayBytes: (values.REPLAY_MIB as number) * 1_048_576,
    sandboxPort: values.SANDBOX_PORT as number,
    providerKeys: new Map(PROVIDER_KEY_VARIABLES.flatMap((name) => (env[name] ? [[name, env[name]] as const] : []))),
  };
}

/** `1:<key>,2:<key>` or one bare key, which is version 1. */
export function parseMasterKeys(text: string): Map<number, Buffer> {
  const keys = new Map<number, Buffer>();
  for (const part of text.split(',')) {
    const version = /^(\d{1,6}):/.exec(part)?.[1] ?? '1';
    const encoded = unversioned(part);
    const key = Buffer.from(encoded, /^[0-9a-fA-F]{64}$/.test(encoded) ? 'hex' : 'base64');
    if (key.length !== 32) throw new SettingsError('ENCRYPTION_KEY must be 32 bytes in base64 or hex.');
    keys.set(Number(version), key);
  }
  return keys;
}

function unversioned(part: string): string {
  return part.replace(/^\d{1,6}:/, '');
}

function parseOne(name: string, setting: Entry, text: string | undefined): unknown {
  const value = text || setting.fallback;
  if (value === undefined) return null;
  const parsed = setting.schema.safeParse(value);
  if (!parsed.success) throw new SettingsError(`${name} must be ${setting.must}.`);
  return parsed.data;
}

function requiredWithDatabase(name: string, command: string): string {
  return `${name} is required when DATABASE_URL is set, and the same on every server; make one with: ${command}`;
}
