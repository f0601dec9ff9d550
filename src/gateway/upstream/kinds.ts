import type { DialectName } from './dialect.ts';

/** What Signalbox knows of a kind of provider. Adding an OpenAI-compatible one is adding a row. */
export interface KindInfo {
  /** Shown to people. */
  name: string;
  /** What its providers speak; CUSTOM and SANDBOX ones may choose another. */
  dialect: DialectName;
  /** Null: the provider must name its own. For SANDBOX: the one inside this server. */
  defaultBaseUrl: string | null;
  /** Environment variable whose key is stored at the first start. */
  keyVariable: string | null;
  /** What its keys look like, `sk-…`; null where they have no mark of their own. */
  keyFormat: string | null;
  /** Whether a provider of this kind can be called without a key. */
  worksWithoutKey: boolean;
  /**
   * Id of its list in `@pydantic/genai-prices`; null: none, unless the provider's address has one. `*` stands for what
   * names of models have behind their colon.
   */
  priceList: string | null;
  /** Its answers say what they cost, in USD. */
  reportsCost: boolean;
  docsUrl: string | null;
  /** Where its list of models is, below its base URL; null: it has none. */
  modelsPath: string | null;
  /** What is asked to see that it is there and takes the key, without spending tokens; null: there is nothing. */
  checkPath: string | null;
  hasEmbeddings: boolean;
  /** Members of a chat completions body that its API refuses; they are left out on the way to it. */
  refuses: readonly string[];
  /** Members that it knows by another name. */
  renames: Readonly<Record<string, string>>;
}

/** What holds where a kind says nothing else. */
const PLAIN: Omit<KindInfo, 'name'> = {
  dialect: 'OPENAI',
  defaultBaseUrl: null,
  keyVariable: null,
  keyFormat: null,
  worksWithoutKey: false,
  priceList: null,
  reportsCost: false,
  docsUrl: null,
  modelsPath: '/models',
  checkPath: '/models',
  hasEmbeddings: true,
  refuses: [],
  renames: {},
};

/** Each kind that there is. */
export const PROVIDER_KINDS = {
  OPENAI: keyed({
    name: 'OpenAI',
    defaultBaseUrl: 'https://api.openai.com/v1',
    keyVariable: 'OPENAI_API_KEY',
    keyFormat: 'sk-…',
    priceList: 'openai',
    docsUrl: 'https://platform.openai.com/docs',
  }),
  ANTHROPIC: keyed({
    name: 'Anthropic',
    dialect: 'ANTHROPIC',
    defaultBaseUrl: 'https://api.anthropic.com/v1',
    keyVariable: 'ANTHROPIC_API_KEY',
    keyFormat: 'sk-ant-…',
    priceList: 'anthropic',
    docsUrl: 'https://docs.anthropic.com',
    hasEmbeddings: false,
  }),
  GOOGLE: keyed({
    name: 'Google Gemini',
    dialect: 'GEMINI',
    defaultBaseUrl: 'https://generativelanguage.googleapis.com/v1beta',
    keyVariable: 'GOOGLE_API_KEY',
    keyFormat: 'AIza…',
    priceList: 'google',
    docsUrl: 'https://ai.google.dev/gemini-api/docs',
  }),
  OPENROUTER: keyed({
    name: 'OpenRouter',
    defaultBaseUrl: 'https://openrouter.ai/api/v1',
    keyVariable: 'OPENROUTER_API_KEY',
    keyFormat: 'sk-or-…',
    priceList: 'openrouter',
    reportsCost: true,
    docsUrl: 'https://openrouter.ai/docs',
    // Its list is public, and says nothing of the key.
    checkPath: '/key',
  }),
  GROQ: keyed({
    name: 'Groq',
    defaultBaseUrl: 'https://api.groq.com/openai/v1',
    keyVariable: 'GROQ_API_KEY',
    keyFormat: 'gsk_…',
    priceList: 'groq',
    docsUrl: 'https://console.groq.com/docs',
    hasEmbeddings: false,
    // https://console.groq.com/docs/openai#currently-unsupported-openai-features
    refuses: ['logprobs', 'top_logprobs', 'logit_bias'],
  }),
  TOGETHER: keyed({
    name: 'Together AI',
    defaultBaseUrl: 'https://api.together.xyz/v1',
    keyVariable: 'TOGETHER_API_KEY',
    priceList: 'together',
    docsUrl: 'https://docs.together.ai',
  }),
  MISTRAL: keyed({
    name: 'Mistral',
    defaultBaseUrl: 'https://api.mistral.ai/v1',
    keyVariable: 'MISTRAL_API_KEY',
    priceList: 'mistral',
    docsUrl: 'https://docs.mistral.ai',
    // It refuses every member that https://docs.mistral.ai/api/#tag/chat does not list. Usage comes with every stream.
    refuses: [
      ...['stream_options', 'user', 'logprobs', 'top_logprobs', 'logit_bias', 'store', 'metadata', 'service_tier'],
      ...[
        'modalities',
        'audio',
        'verbosity',
        'prompt_cache_key',
        'safety_identifier',
        'web_search_options',
        'functions',
      ],
    ],
    renames: { max_completion_tokens: 'max_tokens', seed: 'random_seed' },
  }),
  COHERE: keyed({
    name: 'Cohere',
    defaultBaseUrl: 'https://api.cohere.ai/compatibility/v1',
    keyVariable: 'COHERE_API_KEY',
    priceList: 'cohere',
    docsUrl: 'https://docs.cohere.com',
    // Its compatibility API has no list.
    modelsPath: null,
    checkPath: null,
    // https://docs.cohere.com/docs/compatibility-api, "unsupported parameters"
    refuses: [
      ...['n', 'logit_bias', 'top_logprobs', 'store', 'metadata', 'modalities', 'prediction', 'audio', 'service_tier'],
      'parallel_tool_calls',
    ],
  }),
  HUGGINGFACE: keyed({
    name: 'Hugging Face',
    defaultBaseUrl: 'https://router.huggingface.co/v1',
    keyVariable: 'HUGGINGFACE_API_KEY',
    keyFormat: 'hf_…',
    priceList: 'huggingface_*',
    docsUrl: 'https://huggingface.co/docs/inference-providers',
  }),
  CUSTOM: keyless('Custom'),
  SANDBOX: keyless('Sandbox'),
} as const satisfies Record<string, KindInfo>;

export type ProviderKind = keyof typeof PROVIDER_KINDS;

/** What a provider speaks: what it says itself, else what its kind does. */
export function dialectOf(provider: {
  kind: ProviderKind;
  dialect: DialectName | null;
  baseUrl: string | null;
}): DialectName {
  const { kind, dialect, baseUrl } = provider;
  if (dialect) return dialect;
  // Google's OpenAI-compatible API has an address of its own.
  if (kind === 'GOOGLE' && baseUrl && /\/openai\/?$/.test(baseUrl)) return 'OPENAI';
  return PROVIDER_KINDS[kind].dialect;
}

/** Whether a provider of this kind may say itself what it speaks: all others are known. */
export function choosesDialect(kind: ProviderKind): boolean {
  return kind === 'CUSTOM' || kind === 'SANDBOX';
}

/** The kind for a provider that was created without one: by its base URL, then its name, else CUSTOM. */
export function inferKind(baseUrl: string | null, name: string): ProviderKind {
  const host = baseUrl && URL.canParse(baseUrl) ? new URL(baseUrl).hostname : null;
  for (const [candidate, info] of Object.entries(PROVIDER_KINDS) as [ProviderKind, KindInfo][]) {
    if (host && info.defaultBaseUrl && new URL(info.defaultBaseUrl).hostname === host) return candidate;
  }
  if (baseUrl) return 'CUSTOM';
  const wanted = name.toLowerCase().replace(/[^a-z]/g, '');
  const byName = (Object.keys(PROVIDER_KINDS) as ProviderKind[]).find((candidate) => {
    return (
      wanted === candidate.toLowerCase() ||
      wanted === PROVIDER_KINDS[candidate].name.toLowerCase().replace(/[^a-z]/g, '')
    );
  });
  return byName ?? 'CUSTOM';
}

type Keyed = Pick<KindInfo, 'name' | 'docsUrl' | 'priceList'> & {
  defaultBaseUrl: string;
  keyVariable: string;
} & Partial<KindInfo>;

function keyed(info: Keyed): KindInfo {
  return { ...PLAIN, ...info };
}

function keyless(name: string): KindInfo {
  return { ...PLAIN, name, worksWithoutKey: true };
}
