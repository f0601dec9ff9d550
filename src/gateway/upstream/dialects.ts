import { anthropicDialect } from './anthropic/dialect.ts';
import type { Dialect, DialectName } from './dialect.ts';
import { geminiDialect } from './gemini/dialect.ts';
import { openAIDialect } from './openai/dialect.ts';

/** The wire formats, by name. */
export const DIALECTS: Readonly<Record<DialectName, Dialect>> = {
  OPENAI: openAIDialect,
  ANTHROPIC: anthropicDialect,
  GEMINI: geminiDialect,
};
