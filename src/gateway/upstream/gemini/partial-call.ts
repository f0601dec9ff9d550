import { isRecord } from '../body.ts';
import { LARGEST_KEPT, MalformedAnswer } from '../dialect.ts';

type Fields = Record<string, unknown>;
type Container = Record<string | number, unknown>;

/** Deeper than any arguments; what goes beyond is not kept. */
const MOST_STEPS = 64;
/** What a value that is no text counts as, with its path. */
const PLAIN_LENGTH = 64;

/**
 * A function call that comes in pieces (streamFunctionCallArguments): first its name, then values by their JSON path,
 * texts also in several pieces, then an empty call.
 */
export class PartialCall {
  readonly name: string;
  readonly id: string | null;
  readonly signature: string | null;
  readonly args: Fields;
  #length = 0;

  constructor({ name, id, args }: Fields, signature: string | null) {
    this.name = String(name ?? '');
    this.id = typeof id === 'string' && id !== '' ? id : null;
    this.signature = signature;
    this.args = isRecord(args) ? args : {};
  }

  /** @throws MalformedAnswer when the arguments grow beyond what can be kept */
  add(partialArgs: unknown): void {
    if (!Array.isArray(partialArgs)) return;
    for (const part of partialArgs.filter(isRecord)) {
      this.#length += typeof part.stringValue === 'string' ? part.stringValue.length : PLAIN_LENGTH;
      if (typeof part.jsonPath === 'string') this.#length += part.jsonPath.length;
      if (this.#length > LARGEST_KEPT) throw new MalformedAnswer('sent a call larger than 16 MiB');
      const steps = stepsOf(part.jsonPath);
      if (steps) put(this.args as Container, steps, part);
    }
  }
}

/** `$.a.b[0]['c d']` as its steps; null for what is no such path. */
function stepsOf(path: unknown): (string | number)[] | null {
  if (typeof path !== 'string' || !path.startsWith('$')) return null;
  const steps: (string | number)[] = [];
  const step = /\.([^.[\]]+)|\[(\d+)\]|\[(?:'([^']*)'|"([^"]*)")\]/y;
  step.lastIndex = 1;
  while (step.lastIndex < path.length) {
    const found = step.exec(path);
    if (!found || steps.length === MOST_STEPS) return null;
    const [, member, index, single, double] = found;
    const next = index === undefined ? (member ?? single ?? double ?? '') : Number(index);
    if (next === '__proto__') return null;
    steps.push(next);
  }
  return steps.length > 0 ? steps : null;
}

function put(root: Container, steps: readonly (string | number)[], part: Fields): void {
  let at = root;
  for (const [position, step] of steps.slice(0, -1).entries()) {
    if (!isPlace(at, step)) return;
    const next = at[step];
    if (typeof next === 'object' && next !== null) at = next as Container;
    else {
      const made = (typeof steps[position + 1] === 'number' ? [] : {}) as Container;
      at[step] = made;
      at = made;
    }
  }
  const last = steps.at(-1) as string | number;
  if (!isPlace(at, last)) return;
  const before = at[last];
  if (typeof part.stringValue === 'string') at[last] = (typeof before === 'string' ? before : '') + part.stringValue;
  else if (typeof part.numberValue === 'number') at[last] = part.numberValue;
  else if (typeof part.boolValue === 'boolean') at[last] = part.boolValue;
  else if ('nullValue' in part) at[last] = null;
}

/** Lists grow by one at a time: an index far behind the end would make a short text a list of any length. */
function isPlace(at: Container, step: string | number): boolean {
  return !Array.isArray(at) || (typeof step === 'number' && step <= at.length);
}
