/** What Signalbox knows of a kind of provider. Adding an OpenAI-compatible one is adding a row. */
export interface KindInfo {
  /** Shown to people. */
  name: string;
  /** Null: the provider must name its own. For SANDBOX: the one inside this server. */
  defaultBaseUrl: string | null;
  /** Environment variable whose key is stored at the first start. */
  keyVariable: string | null;
  /** What its keys look like, `sk-…`; null where they have no mark of their own. */
  keyFormat: string | null;
  /** Whether a provider of this kind can be called without a key. */
  worksWithoutKey: boolean;
  docsUrl: string | null;
}

/**
 * All of these answer the OpenAI chat completions dialect at their base URL; Anthropic and Google by their
 * OpenAI-compatible endpoints.
 */
export const PROVIDER_KINDS = {
  OPENAI: kind('OpenAI', 'https://api.openai.com/v1', 'OPENAI_API_KEY', 'sk-…', 'https://platform.openai.com/docs'),
  ANTHROPIC: kind(
    'Anthropic',
    'https://api.anthropic.com/v1',
    'ANTHROPIC_API_KEY',
    'sk-ant-…',
    'https://docs.anthropic.com',
  ),
  GOOGLE: kind(
    'Google Gemini',
    'https://generativelanguage.googleapis.com/v1beta/openai',
    'GOOGLE_API_KEY',
    'AIza…',
    'https://ai.google.dev/gemini-api/docs',
  ),
  OPENROUTER: kind(
    'OpenRouter',
    'https://openrouter.ai/api/v1',
    'OPENROUTER_API_KEY',
    'sk-or-…',
    'https://openrouter.ai/docs',
  ),
  GROQ: kind('Groq', 'https://api.groq.com/openai/v1', 'GROQ_API_KEY', 'gsk_…', 'https://console.groq.com/docs'),
  TOGETHER: kind('Together AI', 'https://api.together.xyz/v1', 'TOGETHER_API_KEY', null, 'https://docs.together.ai'),
  MISTRAL: kind('Mistral', 'https://api.mistral.ai/v1', 'MISTRAL_API_KEY', null, 'https://docs.mistral.ai'),
  COHERE: kind('Cohere', 'https://api.cohere.ai/compatibility/v1', 'COHERE_API_KEY', null, 'https://docs.cohere.com'),
  HUGGINGFACE: kind(
    'Hugging Face',
    'https://router.huggingface.co/v1',
    'HUGGINGFACE_API_KEY',
    'hf_…',
    'https://huggingface.co/docs/inference-providers',
  ),
  CUSTOM: {
    name: 'Custom',
    defaultBaseUrl: null,
    keyVariable: null,
    keyFormat: null,
    worksWithoutKey: true,
    docsUrl: null,
  },
  SANDBOX: {
    name: 'Sandbox',
    defaultBaseUrl: null,
    keyVariable: null,
    keyFormat: null,
    worksWithoutKey: true,
    docsUrl: null,
  },
} as const satisfies Record<string, KindInfo>;

export type ProviderKind = keyof typeof PROVIDER_KINDS;

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

function kind(
  name: string,
  defaultBaseUrl: string,
  keyVariable: string,
  keyFormat: string | null,
  docsUrl: string,
): KindInfo {
  return { name, defaultBaseUrl, keyVariable, keyFormat, worksWithoutKey: false, docsUrl };
}
