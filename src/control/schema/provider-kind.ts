import type { DialectName } from '../../gateway/upstream/dialect.ts';
import { PROVIDER_KINDS, type ProviderKind } from '../../gateway/upstream/kinds.ts';
import { enumOf } from './enum-of.ts';

const MEANINGS = Object.fromEntries(
  Object.entries(PROVIDER_KINDS).map(([kind, { name, defaultBaseUrl }]) => [
    kind,
    `${name}, at ${defaultBaseUrl} unless it has its own address.`,
  ]),
) as Record<ProviderKind, string>;
MEANINGS.CUSTOM = 'Any other server that speaks one of the dialects, at its own address.';
MEANINGS.SANDBOX = 'The sandbox inside Signalbox: deterministic answers, and faults on request. No real model.';

export const ProviderKindEnum = enumOf<ProviderKind>(
  'ProviderKind',
  'What a provider is, and so where it is by default and how it is spoken to.',
  MEANINGS,
);

export const DialectEnum = enumOf<DialectName>('Dialect', 'What is spoken with a provider.', {
  OPENAI: 'Chat completions as OpenAI has them, and most others with it: `/chat/completions`, `/embeddings`.',
  ANTHROPIC: 'Anthropic Messages: `/messages`. It has no embeddings.',
  GEMINI: 'Gemini: `/models/…:generateContent`, `:batchEmbedContents`.',
});
