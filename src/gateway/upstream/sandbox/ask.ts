import { invalid } from '../../../platform/errors.ts';
import type { ChatModel } from './models.ts';

export type JsonSchema = Record<string, unknown>;

/** One message of the conversation so far. */
export interface Turn {
  /** `tool`: what one call of a tool gave. */
  role: 'system' | 'user' | 'assistant' | 'tool';
  /** Its text; parts that are not text have none. */
  text: string;
  images: number;
  /** JSON text of the calls that the model made; empty for none. */
  calls: string;
}

/** A function that the model may call. */
export interface Tool {
  name: string;
  /** Of its arguments. */
  schema: JsonSchema | null;
  /** Where the schema stands in the request, for errors. */
  param: string;
}

/** Which tools are called: none, those that the user mentions, or at least one. */
export interface Calling {
  mode: 'none' | 'auto' | 'required';
  /** Those of the tools that may be called. */
  tools: readonly Tool[];
  isParallel: boolean;
}

/** What the text of an answer is. `param` is where the schema stands in the request. */
export type Format = { type: 'text' } | { type: 'json' } | { type: 'schema'; schema: JsonSchema; param: string };

/** What a chat request asks for, whatever the dialect that it was written in. */
export interface Ask {
  model: ChatModel;
  turns: readonly Turn[];
  tools: readonly Tool[];
  calling: Calling;
  reasoning: { tokens: number; beforeCalls: boolean };
  /** Texts that end the answer where they would come. */
  stops: readonly string[];
  /** The most tokens of a choice; Infinity for no limit. */
  limit: number;
  choices: number;
  format: Format;
}

/** How many of a model's reasoning tokens an effort costs. */
const REASONING_SHARE = { none: 0, minimal: 0.25, low: 0.5, medium: 1, high: 2, xhigh: 4 } as const;

export type Effort = keyof typeof REASONING_SHARE;

/** The length of the reasoning before an answer; 0 for a model that does not reason. */
export function reasoningTokens(model: ChatModel, effort: Effort): number {
  return model.reasoningTokens * REASONING_SHARE[effort];
}

/** The effort that a budget of reasoning tokens stands for, by the steps of Google's own table of compatibility. */
export function effortOfBudget(budget: number): Effort {
  if (budget === 0) return 'none';
  if (budget <= 1024) return 'low';
  return budget <= 8192 ? 'medium' : 'high';
}

/**
 * The first tool of each of these names.
 * @param param where the names stand in the request.
 * @throws ValidationError for a name that no tool has.
 */
export function toolsNamed(names: readonly string[], tools: readonly Tool[], param: string): Tool[] {
  return names.map((name) => {
    const tool = tools.find((one) => one.name === name);
    if (!tool) throw invalid(param, 'names a function that is not in tools');
    return tool;
  });
}
