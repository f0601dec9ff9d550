import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readSettings, SETTINGS } from '../../src/platform/settings.ts';

const KEY = Buffer.alloc(32, 7).toString('base64');

describe('settings', () => {
  test('everything has a default, and an empty value counts as unset', () => {
    const settings = readSettings({ PORT: '', DATABASE_URL: '' });
    expect(settings).toMatchObject({ port: 4000, host: '127.0.0.1', databaseUrl: null, anonymousCompletions: false });
    expect(settings.dataDir).toMatch(/\.signalbox$/);
  });

  test.each([
    ['PORT', '99999', /^PORT must be a port number/],
    ['PORT', '4000x', /^PORT must be/],
    ['DATABASE_URL', 'mysql://x', /^DATABASE_URL must be a postgresql/],
    ['BOOTSTRAP_API_KEY', 'sk-wrong', /^BOOTSTRAP_API_KEY must be sbx_/],
    ['JWT_SECRET', 'short', /^JWT_SECRET must be at least 32/],
    ['ENCRYPTION_KEY', 'abc', /^ENCRYPTION_KEY must be 32 bytes/],
    ['ADMIN_EMAIL', 'nobody', /^ADMIN_EMAIL must be an e-mail/],
    ['CORS_ORIGINS', 'not a url', /^CORS_ORIGINS must be/],
    ['LOG_LEVEL', 'loud', /^LOG_LEVEL must be one of/],
    ['DECISION_RETENTION_DAYS', '1', /^DECISION_RETENTION_DAYS must be a number of days from 2 to 3650/],
    ['DECISION_RETENTION_DAYS', '3651', /^DECISION_RETENTION_DAYS must be/],
    ['ANONYMOUS_COMPLETIONS', 'yes', /^ANONYMOUS_COMPLETIONS must be true or false/],
  ])('%s=%s is refused in one sentence that names it', (name, value, message) => {
    expect(() => readSettings({ [name]: value })).toThrow(message);
  });

  test('with a database of one’s own the secrets are required, each named with a command that makes it', () => {
    const url = 'postgresql://localhost/signalbox';
    expect(() => readSettings({ DATABASE_URL: url })).toThrow(/JWT_SECRET is required.*openssl/);
    expect(() => readSettings({ DATABASE_URL: url, JWT_SECRET: 'x'.repeat(32) })).toThrow(/ENCRYPTION_KEY is required/);
    expect(() => readSettings({ DATABASE_URL: url, JWT_SECRET: 'x'.repeat(32), ENCRYPTION_KEY: KEY })).not.toThrow();
  });

  test('master keys come alone or by version', () => {
    expect([...(readSettings({ ENCRYPTION_KEY: KEY }).encryptionKeys ?? [])].map(([version]) => version)).toEqual([1]);
    const several = readSettings({ ENCRYPTION_KEY: `3:${KEY},12:${KEY}` }).encryptionKeys;
    expect([...(several ?? [])].map(([version]) => version)).toEqual([3, 12]);
  });

  test('a secret never stands in the message', () => {
    expect(() => readSettings({ JWT_SECRET: 'hunter2' })).toThrow(/^((?!hunter2).)*$/);
  });

  test('the README lists every setting', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
    const listed = new Set([...readme.matchAll(/^\| `([A-Z_]+)`/gm)].map((match) => match[1]));
    expect([...Object.keys(SETTINGS)].filter((name) => !listed.has(name))).toEqual([]);
  });
});
