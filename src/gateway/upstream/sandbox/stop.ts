/**
 * A text up to the stop sequence that is complete first, as a model ends there; it may lie across tokens and cut one.
 * Tokens are held back while a stop sequence could still begin in them.
 * @returns the stop sequence that ended the text; null where none did.
 */
export function* untilStop(
  runs: Iterable<readonly string[]>,
  stops: readonly string[],
): Generator<readonly string[], string | null> {
  if (stops.length === 0) {
    yield* runs;
    return null;
  }
  const longest = Math.max(...stops.map((stop) => stop.length));
  let held: string[] = [];
  for (const run of runs) {
    held = [...held, ...run];
    const text = held.join('');
    const found = earliest(text, stops);
    if (found) {
      yield upTo(held, found.at);
      return found.stop;
    }
    const safe = wholeWithin(held, text.length - longest + 1);
    yield held.slice(0, safe);
    held = held.slice(safe);
  }
  yield held;
  return null;
}

function earliest(text: string, stops: readonly string[]): { stop: string; at: number } | undefined {
  const found = stops.map((stop) => ({ stop, at: text.indexOf(stop) })).filter(({ at }) => at >= 0);
  return found.sort((a, b) => a.at + a.stop.length - (b.at + b.stop.length) || a.at - b.at)[0];
}

/** The tokens that make up the first `length` characters; the last one may be cut. */
function upTo(tokens: readonly string[], length: number): string[] {
  const whole = wholeWithin(tokens, length);
  const used = tokens.slice(0, whole).join('').length;
  const cut = tokens[whole]?.slice(0, length - used);
  return cut ? [...tokens.slice(0, whole), cut] : tokens.slice(0, whole);
}

/** How many whole tokens lie within the first `length` characters. */
function wholeWithin(tokens: readonly string[], length: number): number {
  let used = 0;
  const past = tokens.findIndex((token) => {
    used += token.length;
    return used > length;
  });
  return past < 0 ? tokens.length : past;
}
