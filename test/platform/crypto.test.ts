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
