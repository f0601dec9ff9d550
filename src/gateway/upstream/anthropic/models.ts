/** What a generation of Claude takes of a request. */
export interface ModelTraits {
  /** How it is told to think: by itself (`effort` says how hard), within a budget of tokens, or not at all. */
  thinking: 'ADAPTIVE' | 'BUDGET' | 'NONE';
  /** Takes `temperature`, `top_p` and `top_k`. */
  samples: boolean;
  /** Takes a JSON schema for its answer. */
  formatsOutput: boolean;
}

const OLDEST: ModelTraits = { thinking: 'NONE', samples: true, formatsOutput: false };
const NEWEST: ModelTraits = { thinking: 'ADAPTIVE', samples: false, formatsOutput: true };

/**
 * By the version in a name, the newest that it reaches. Thinking and formats by Anthropic's guides to extended thinking
 * and structured outputs; sampling by its API reference: models after Claude Opus 4.6 refuse it.
 */
const SINCE: readonly (readonly [version: number, traits: ModelTraits])[] = [
  [4.7, NEWEST],
  [4.6, { thinking: 'ADAPTIVE', samples: true, formatsOutput: true }],
  [4.5, { thinking: 'BUDGET', samples: true, formatsOutput: true }],
  [3.7, { thinking: 'BUDGET', samples: true, formatsOutput: false }],
  [0, OLDEST],
];

/** The traits of a model by its name; one that names no version is new. */
export function traitsOf(model: string): ModelTraits {
  const version = versionOf(model);
  if (version === null) return NEWEST;
  return SINCE.find(([since]) => version >= since)?.[1] ?? OLDEST;
}

/** `claude-3-7-sonnet-20250219` is 3.7, `claude-sonnet-4-20250514` 4, `claude-opus-4.6` 4.6; dates are no versions. */
function versionOf(model: string): number | null {
  const found = /claude-(?:[a-z]+-)?(\d{1,2})(?:[.-](\d{1,2})(?!\d))?/i.exec(model);
  if (!found) return null;
  const [, major, minor = '0'] = found;
  return Number(`${major}.${minor}`);
}
