/**
 * The sandbox's token: white space, then up to eight characters of the word behind it. So a short word is one
 * token, a longer one several, and the streamed pieces of a text are exactly the tokens that its usage counts.
 */
const LONGEST_TOKEN = 8;

/** The number of sandbox tokens in `text`. */
export function countTokens(text: string): number {
  let tokens = 0;
  for (let at = 0; at < text.length; at = tokenEnd(text, at)) tokens++;
  return tokens;
}

/** The tokens of `text` one by one; together they are the text. */
export function* splitTokens(text: string): Generator<string> {
  for (let at = 0; at < text.length; ) {
    const end = tokenEnd(text, at);
    yield text.slice(at, end);
    at = end;
  }
}

function tokenEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && isSpace(text.charCodeAt(at))) at++;
  const limit = Math.min(at + LONGEST_TOKEN, text.length);
  while (at < limit && !isSpace(text.charCodeAt(at))) at++;
  return splitsSurrogatePair(text, at) ? at + 1 : at;
}

function isSpace(code: number): boolean {
  return code <= 0x20;
}

function splitsSurrogatePair(text: string, at: number): boolean {
  return at < text.length && (text.charCodeAt(at) & 0xfc00) === 0xdc00 && (text.charCodeAt(at - 1) & 0xfc00) === 0xd800;
}
