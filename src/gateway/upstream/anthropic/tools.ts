import type { Anthropic } from '@anthropic-ai/sdk';
import { invalid } from '../../../platform/errors.ts';
import { type ChatBody, isRecord } from '../body.ts';
import { cacheOf } from './content.ts';

/**
 * The caller's tools, and the tools that Anthropic runs itself, which clients name in its own way.
 * @throws ValidationError for a tool that is neither
 */
export function toTools({ tools }: ChatBody): Anthropic.ToolUnion[] {
  if (tools == null) return [];
  if (!Array.isArray(tools)) throw invalid('tools', 'must be a list');
  return tools.map((tool, at) => {
    if (!isRecord(tool)) throw invalid(`tools.${at}`, 'must be an object');
    if (tool.type !== 'function' && typeof tool.type === 'string') return tool as unknown as Anthropic.ToolUnion;
    const { name, description, parameters, strict } = isRecord(tool.function) ? tool.function : tool;
    if (typeof name !== 'string' || name === '') throw invalid(`tools.${at}.function.name`, 'must be given');
    const schema = isRecord(parameters) ? parameters : {};
    return {
      name,
      ...(typeof description === 'string' && description !== '' ? { description } : {}),
      input_schema: { ...schema, type: 'object' as const },
      ...(strict === true ? { strict } : {}),
      ...cacheOf(tool),
    };
  });
}

/** Whether the model calls tools; undefined: as it sees fit, one or several at once. */
export function toToolChoice({
  tool_choice: choice,
  parallel_tool_calls: parallel,
}: ChatBody): Anthropic.ToolChoice | undefined {
  const one = parallel === false ? { disable_parallel_tool_use: true } : {};
  if (choice === 'none') return { type: 'none' };
  if (choice === 'required') return { type: 'any', ...one };
  if (choice == null || choice === 'auto') return parallel === false ? { type: 'auto', ...one } : undefined;
  const name = isRecord(choice) && isRecord(choice.function) ? choice.function.name : null;
  if (typeof name !== 'string') throw invalid('tool_choice', 'must be none, auto, required or a function');
  return { type: 'tool', name, ...one };
}
