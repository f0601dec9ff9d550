import { pick } from './digest.ts';
import { splitTokens } from './tokens.ts';

/** Filler, cut into tokens once. Each sentence starts with its space, so any order of them tokenises the same. */
const SENTENCES = sentences(
  'A signal box sets the routes of a railway and watches every train live.',
  'Each lever moves one set of points, and each signal shows what lies ahead.',
  'The interlocking refuses any route that would let two trains meet.',
  'A train register on the desk records every passing to the minute.',
  'When a line is blocked, the next train takes another way round.',
  'Bells between the boxes offer a train, accept it, and report it clear.',
  'At night the lamps burn green, yellow and red along the track.',
  'A late express costs more than a slow freight, so it goes first.',
  'The timetable is a promise, and the signalman keeps it.',
  'Nothing moves here without a record of who let it pass.',
  'Rain on the roof, a kettle on the stove, and a clock that is always right.',
  'The junction splits the traffic in two, half to the coast and half to the hills.',
  'Every answer here is made up, costs nothing, and is the same each time you ask.',
  'Behind the window the whole yard lies open like a map.',
  'A good box is quiet, because every train is where it should be.',
  'If the wire breaks, the arm falls to danger by its own weight.',
);

/** How long a text is to be. */
export type Length = { sentences: number } | { tokens: number };

/**
 * Readable text in runs of tokens, each made when it is asked for: an opening, then as many sentences as asked for,
 * or exactly as many tokens.
 */
export function* prose(opening: string, length: Length, random: () => number): Generator<readonly string[]> {
  const start = [...splitTokens(opening)];
  if ('sentences' in length) {
    yield start;
    for (let left = length.sentences; left > 0; left--) yield pick(SENTENCES, random);
    return;
  }
  let left = length.tokens;
  for (let run: readonly string[] = start; left > 0; run = pick(SENTENCES, random)) {
    yield run.length <= left ? run : run.slice(0, left);
    left -= run.length;
  }
}

/** What a person wrote, on one line and cut after `limit` tokens, to be quoted. */
export function quote(text: string, limit = 40): string {
  let quoted = '';
  for (const token of splitTokens(text.trimStart())) {
    if (limit-- === 0) return `${quoted}…`;
    quoted += token.replace(/^\s+/, ' ');
  }
  return quoted.trimEnd();
}

function sentences(first: string, ...rest: string[]): [string[], ...string[][]] {
  return [tokensOf(first), ...rest.map(tokensOf)];
}

function tokensOf(sentence: string): string[] {
  return [...splitTokens(` ${sentence}`)];
}
