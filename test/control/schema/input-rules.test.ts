import { expect, test } from 'vitest';
import { text } from '../../../src/control/schema/input-rules.ts';

const isName = (name: string) => text(20).safeParse(name).success;

test.each([
  ['letters', 'Frontend'],
  ['letters with accents and joiners', 'Zoë क्‍ष می‌خواهم'],
  ['an emoji of several parts', '👩‍💻'],
  ['Arabic with a mark of direction', 'العربية\u200f (1)'],
])('a name may be %s', (_what, name) => {
  expect(isName(name)).toBe(true);
});

test.each([
  ['nothing', ''],
  ['white space', ' \u00a0 '],
  ['characters without width', '\u200b\u200d\u2060'],
  ['a mark without a letter', '\u0301'],
  ['a break of lines', 'a\u2028b'],
  ['a control character', 'a\u0007b'],
  ['half a surrogate pair', 'a\ud800'],
  ['a turn of direction', 'invoice\u202egpj.exe'],
  ['a part in another direction', 'a\u2067b\u2069'],
  ['too long', 'a'.repeat(21)],
])('a name may not be %s', (_what, name) => {
  expect(isName(name)).toBe(false);
});
