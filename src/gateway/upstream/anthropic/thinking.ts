import type { Anthropic } from '@anthropic-ai/sdk';
import { type ChatBody, isRecord } from '../body.ts';
import type { Notes } from '../notes.ts';
import type { ModelTraits } from './models.ts';

type Effort = NonNullable<Anthropic.OutputConfig['effort']>;

/** OpenAI's efforts in Anthropic's words. `none` is not to think at all. */
const EFFORTS: Readonly<Record<string, Effort>> = {
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'xhigh',
  max: 'max',
};
/** Shares of what an answer may hold, for models that think within a budget. */
const BUDGET_SHARES: Readonly<Record<Effort, number>> = { low: 0.2, medium: 0.5, high: 0.8, xhigh: 0.9, max: 0.95 };
/** The least that Anthropic takes. */
const SMALLEST_BUDGET = 1_024;

export interface Thinking {
  thinking?: Anthropic.ThinkingConfigParam;
  effort?: Effort;
  /** At least this many `max_tokens` are needed; 0: any number will do. */
  leastTokens: number;
}

/** How hard to think: as Anthropic's own `thinking` says, or by `reasoning_effort` as far as the model can. */
export function toThinking(chat: ChatBody, maxTokens: number, traits: ModelTraits, notes: Notes): Thinking {
  if (isRecord(chat.thinking)) return { thinking: chat.thinking as never, leastTokens: 0 };
  const { reasoning_effort: wanted } = chat;
  if (wanted == null) return { leastTokens: 0 };
  if (wanted === 'none') return traits.thinking === 'NONE' ? { leastTokens: 0 } : disabled;
  const effort = typeof wanted === 'string' && Object.hasOwn(EFFORTS, wanted) ? EFFORTS[wanted] : undefined;
  if (!effort) {
    notes.leftOut('reasoning_effort', 'Anthropic knows no such effort');
    return { leastTokens: 0 };
  }
  switch (traits.thinking) {
    case 'NONE':
      notes.leftOut('reasoning_effort', 'the model does not reason');
      return { leastTokens: 0 };
    case 'ADAPTIVE':
      return { thinking: { type: 'adaptive', display: 'summarized' }, effort, leastTokens: 0 };
    case 'BUDGET': {
      const budget = Math.max(SMALLEST_BUDGET, Math.floor(maxTokens * BUDGET_SHARES[effort]));
      // The budget must be below `max_tokens`, and something has to be left for the answer.
      return {
        thinking: { type: 'enabled', budget_tokens: budget },
        leastTokens: budget < maxTokens ? 0 : budget + SMALLEST_BUDGET,
      };
    }
  }
}

const disabled: Thinking = { thinking: { type: 'disabled' }, leastTokens: 0 };
