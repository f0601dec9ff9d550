import type { Ask, Tool } from './ask.ts';
import { randomFrom, subDigest } from './digest.ts';
import { fillSchema } from './schema.ts';

/** A call that the sandbox makes of one of the caller's tools. */
export interface ToolCall {
  /** Unique in its answer; dialects put their own mark before it. */
  id: string;
  name: string;
  /** JSON text that satisfies the tool's schema. */
  arguments: string;
}

/**
 * The calls that answer a request; none where text answers it. `required` calls what the last user message mentions or
 * else the first tool, `auto` only what it mentions. After a tool's result comes text.
 * @throws ValidationError for a schema that cannot be filled.
 */
export function chooseToolCalls(ask: Ask, digest: string): ToolCall[] {
  if (ask.turns.at(-1)?.role === 'tool') return [];
  return chooseTools(ask).map(({ name, schema, param }, at) => {
    const seed = subDigest(digest, `tool/${at}`);
    // An object is what every tool takes, also where its schema does not say so.
    const filled = fillSchema({ type: 'object', ...schema }, randomFrom(seed), param);
    return { id: seed.slice(0, 24), name, arguments: JSON.stringify(filled) };
  });
}

function chooseTools(ask: Ask): readonly Tool[] {
  const { mode, tools, isParallel } = ask.calling;
  if (mode === 'none' || tools.length === 0) return [];
  const asked = lastUserText(ask);
  const mentioned = tools.filter(({ name }) => mentions(asked, name));
  const chosen = mentioned.length === 0 && mode === 'required' ? tools.slice(0, 1) : mentioned;
  return isParallel ? chosen : chosen.slice(0, 1);
}

/** The text of the last message that a user wrote; empty when there is none. */
export function lastUserText({ turns }: Ask): string {
  return turns.findLast(({ role }) => role === 'user')?.text ?? '';
}

function mentions(text: string, name: string): boolean {
  const escaped = name.replaceAll('.', '\\.');
  return new RegExp(`(?<![\\w-])${escaped}(?![\\w-])`).test(text);
}
