import { expect, test } from 'vitest';
import { isUuid, maskSecret, newApiKey, uuidv7 } from '../../src/platform/ids.ts';

test('ids are version 7, unique, and sort in the order in which they were made, even when the clock goes back', () => {
  const now = Date.now();
  const ids = Array.from({ length: 20_000 }, (_, index) => uuidv7(index % 3 === 0 ? now - 50 : now));
  expect(new Set(ids).size).toBe(ids.length);
  expect([...ids].sort()).toEqual(ids);
  for (const id of ids.slice(0, 100))
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test('the time of an id is the time it was made', () => {
  const future = Date.now() + 10_000_000;
  const milliseconds = Number.parseInt(uuidv7(future).replaceAll('-', '').slice(0, 12), 16);
  expect(milliseconds).toBe(future);
});

test('only whole ids are ids', () => {
  expect(isUuid(uuidv7())).toBe(true);
  for (const text of ['', 'x', `${uuidv7()} `, uuidv7().slice(1)]) expect(isUuid(text)).toBe(false);
});

test('a masked secret shows its prefix and its last four characters, and a short one nothing', () => {
  expect(maskSecret('sk-proj-abcdefghijkla1b2')).toBe('sk-…a1b2');
  expect(maskSecret('short')).toBe('…');
  const key = newApiKey();
  expect(maskSecret(key)).toBe(`sbx_…${key.slice(-4)}`);
});
