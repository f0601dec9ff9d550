const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;

interface Member {
  name: string;
  nameStart: number;
  valueStart: number;
  valueEnd: number;
}

/**
 * Sets top-level members of a JSON object in its bytes, and takes out others. Every other member stays byte for byte as it
 * was: big integers, the order of keys, white space. A member that is not there is added at the front. A name that
 * stands twice is set or taken out at both places, so that it does not matter which one the reader takes.
 *
 * @param json bytes of a JSON object that is known to be valid
 * @param edits new values by name, as JSON text; null: the member is taken out
 */
export function spliceMembers(json: Buffer, edits: Readonly<Record<string, string | null>>): Buffer {
  const { members, bodyStart } = topLevelMembers(json);
  const missing = new Map(Object.entries(edits).filter(([, value]) => value !== null));
  const parts: Buffer[] = [];
  let isFirst = true;
  /** Up to where everything is copied, or left out. */
  let done = bodyStart;
  for (const member of members) {
    const edit = Object.hasOwn(edits, member.name) ? edits[member.name] : undefined;
    if (edit === null) {
      // With what stands before it, which is the comma unless it is the first.
      if (!isFirst) parts.push(json.subarray(done, endBefore(json, member.nameStart)));
      done = isFirst ? startBehind(json, member.valueEnd) : member.valueEnd;
      continue;
    }
    isFirst = false;
    if (edit === undefined) continue;
    missing.delete(member.name);
    parts.push(json.subarray(done, member.valueStart), Buffer.from(edit));
    done = member.valueEnd;
  }
  parts.push(json.subarray(done));
  const added = [...missing].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',');
  const head = added && !isFirst ? `${added},` : added;
  return Buffer.concat([json.subarray(0, bodyStart), Buffer.from(head), ...parts]);
}

/** Where the comma stands that leads to `start`. */
function endBefore(json: Buffer, start: number): number {
  return json.lastIndexOf(COMMA, start);
}

/** Just behind the comma that follows `end`, if one does. */
function startBehind(json: Buffer, end: number): number {
  const next = skipSpace(json, end);
  return json[next] === COMMA ? next + 1 : end;
}

/** Finds where the values of the outermost object stand. `bodyStart` is just behind its opening brace. */
function topLevelMembers(json: Buffer): { members: Member[]; bodyStart: number } {
  const members: Member[] = [];
  const bodyStart = json.indexOf(OPEN_BRACE) + 1;
  let at = skipSpace(json, bodyStart);
  while (json[at] === QUOTE) {
    const nameStart = at;
    const nameEnd = stringEnd(json, at);
    const name = JSON.parse(json.toString('utf8', at, nameEnd)) as string;
    at = skipSpace(json, nameEnd);
    if (json[at] !== COLON) break;
    const valueStart = skipSpace(json, at + 1);
    const valueEnd = endOfValue(json, valueStart);
    members.push({ name, nameStart, valueStart, valueEnd });
    at = skipSpace(json, valueEnd);
    if (json[at] !== COMMA) break;
    at = skipSpace(json, at + 1);
  }
  return { members, bodyStart };
}

function endOfValue(json: Buffer, start: number): number {
  const first = json[start];
  if (first === QUOTE) return stringEnd(json, start);
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return scalarEnd(json, start);
  let depth = 0;
  for (let at = start; at < json.length; at++) {
    const byte = json[at];
    if (byte === QUOTE) at = stringEnd(json, at) - 1;
    else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth--;
      if (depth === 0) return at + 1;
    }
  }
  return json.length;
}

/** Just behind the closing quote of the string that opens at `start`. */
function stringEnd(json: Buffer, start: number): number {
  let at = start;
  for (;;) {
    at = json.indexOf(QUOTE, at + 1);
    if (at < 0) return json.length;
    let backslashes = 0;
    while (json[at - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at + 1;
  }
}

function scalarEnd(json: Buffer, start: number): number {
  let at = start;
  while (at < json.length) {
    const byte = json[at] as number;
    if (byte === COMMA || byte === CLOSE_BRACE || byte <= 0x20) break;
    at++;
  }
  return at;
}

function skipSpace(json: Buffer, start: number): number {
  let at = start;
  while (at < json.length && (json[at] as number) <= 0x20) at++;
  return at;
}
