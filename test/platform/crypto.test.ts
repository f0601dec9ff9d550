import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { SecretBox } from '../../src/platform/crypto.ts';

const first = randomBytes(32);
const second = randomBytes(32);

test('a secret opens again in its own context', () => {
  const box = new SecretBox(new Map([[1, first]]));
  expect(box.open(box.seal('sk-secret', 'row 1'), 'row 1')).toBe('sk-secret');
});

test('a ciphertext moved to another row does not open', () => {
  const box = new SecretBox(new Map([[1, first]]));
  const sealed = box.seal('sk-secret', 'row 1');
  expect(() => box.open(sealed, 'row 2')).toThrow();
});

test('what was sealed without a format opens in the context of that time alone', () => {
  const box = new SecretBox(new Map([[1, first]]));
  // One nonce in 256 begins like the format of today.
  for (let count = 0; count < 2_000; count++) {
    const { ciphertext, masterKeyVersion } = box.seal('sk-secret', 'row 1');
    const old = { ciphertext: ciphertext.slice(1), masterKeyVersion };
    expect(box.open(old, 'provider_key:row 1', 'row 1')).toBe('sk-secret');
    expect(() => box.open(old, 'provider_key:row 1', 'row 2')).toThrow();
    expect(() => box.open(old, 'row 1')).toThrow();
  }
});

test('what is sealed today opens in no context but its own', () => {
  const box = new SecretBox(new Map([[1, first]]));
  const sealed = box.seal('sk-secret', 'provider_key:p:1');
  expect(() => box.open(sealed, 'provider_key:p:2', 'provider_key:p:1')).toThrow();
  expect(() => box.open({ ...sealed, ciphertext: sealed.ciphertext.slice(1) }, 'provider_key:p:2', '1')).toThrow();
});

test('a changed byte anywhere is noticed', () => {
  const box = new SecretBox(new Map([[1, first]]));
  const sealed = box.seal('sk-secret', 'row');
  for (let index = 0; index < sealed.ciphertext.length; index++) {
    const changed = Uint8Array.from(sealed.ciphertext);
    changed[index] = (changed[index] as number) ^ 1;
    expect(() => box.open({ ...sealed, ciphertext: changed }, 'row')).toThrow();
  }
});

test('the highest master key seals, and older ones still open', () => {
  const old = new SecretBox(new Map([[1, first]])).seal('a', 'row');
  const box = new SecretBox(
    new Map([
      [1, first],
      [2, second],
    ]),
  );
  expect(box.open(old, 'row')).toBe('a');
  expect(box.seal('b', 'row').masterKeyVersion).toBe(2);
});

test('a missing master key is named', () => {
  const sealed = new SecretBox(new Map([[7, first]])).seal('a', 'row');
  expect(() => new SecretBox(new Map([[1, first]])).open(sealed, 'row')).toThrow(/ENCRYPTION_KEY has no version 7/);
});

test('master keys are read again when one is missing, and the newest seals from then on', async () => {
  let reads = 0;
  const box = new SecretBox(new Map([[1, first]]), async () => {
    reads++;
    return new Map([[2, second]]);
  });
  const old = box.seal('a', 'row');
  await box.learn([1, 1]);
  expect(reads).toBe(0);
  await box.learn([1, 2]);
  expect(box.current).toBe(2);
  expect(box.seal('b', 'row').masterKeyVersion).toBe(2);
  expect(box.open(old, 'row')).toBe('a');
});
