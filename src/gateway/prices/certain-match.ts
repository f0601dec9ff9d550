import type { MatchLogic, ModelInfo } from '@pydantic/genai-prices';

/**
 * What names a version of the same model at the same price: a date, or a number such as 001. Not `latest`, which moves,
 * nor `preview`, which often has a price of its own.
 */
const VERSION = /[-@](?:20\d{6}|20\d\d-\d\d-\d\d|\d\d-\d\d|\d\d-20\d\d|\d{3,4})$/;

/**
 * Whether an entry of the list is surely about the model of this name. The list also matches by beginnings and parts of
 * names, which takes `claude-sonnet-5-5` for `claude-sonnet-5`. So a name counts only if the entry has it word for word,
 * with or without its version, or by an expression for the whole name.
 */
export function isCertain(name: string, model: ModelInfo): boolean {
  const { texts, expressions } = leavesOf(model.match);
  const known = new Set([model.id, ...texts].map((text) => text.toLowerCase().replace(/[-@]$/, '')));
  if (expressions.some((expression) => new RegExp(expression).test(name))) return true;
  for (let stem = name; ; stem = stem.replace(VERSION, '')) {
    if (known.has(stem)) return true;
    if (!VERSION.test(stem)) return false;
  }
}

/** The texts of a pattern, and those of its expressions that are tied to both ends. */
function leavesOf(match: MatchLogic): { texts: string[]; expressions: string[] } {
  if ('or' in match || 'and' in match) {
    const parts = ('or' in match ? match.or : match.and).map(leavesOf);
    return { texts: parts.flatMap(({ texts }) => texts), expressions: parts.flatMap(({ expressions }) => expressions) };
  }
  if (!('regex' in match)) return { texts: Object.values(match), expressions: [] };
  return { texts: [], expressions: /^\^.*\$$/.test(match.regex) ? [match.regex] : [] };
}
