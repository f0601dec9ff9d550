import { invalid } from '../../../platform/errors.ts';
import { randomFrom, subDigest } from './digest.ts';
import { type ChatBody, type Tool, textOf } from './request.ts';
import { fillSchema } from './schema.ts';

/** A call that the sandbox makes of one of the caller's tools. */
export interface ToolCall {
  id: string;
  name: string;
  /** JSON text that satisfies the tool's schema. */
  arguments: string;
}

/**
 * The calls that answer a request; none where text answers it. A named function is always called, `required` calls
 * what the last user message mentions or else the first tool, `auto` only what it mentions. After a tool's result
 * comes text.
 * @throws ValidationError for a tool_choice that names no tool, and for a schema that cannot be filled.
 */
export function chooseToolCalls(body: ChatBody, digest: string): ToolCall[] {
  const tools = body.tools ?? [];
  const chosen = chooseTools(body, tools);
  if (body.messages.at(-1)?.role === 'tool') return [];
  return chosen.map((tool, at) => {
    const seed = subDigest(digest, `tool/${at}`);
    const param = `tools[${tools.indexOf(tool)}].function.parameters`;
    // An object is what every tool takes, also where its schema does not say so.
    const schema = { type: 'object', ...tool.function.parameters };
    return {
      id: `call_${seed.slice(0, 24)}`,
      name: tool.function.name,
      arguments: JSON.stringify(fillSchema(schema, randomFrom(seed), param)),
    };
  });
}

function chooseTools(body: ChatBody, tools: Tool[]): Tool[] {
  const choice = body.tool_choice ?? 'auto';
  if (typeof choice === 'object') {
    const named = tools.filter((tool) => tool.function.name === choice.function.name);
    if (named.length > 0) return named.slice(0, 1);
    throw invalid('tool_choice', 'names a function that is not in tools');
  }
  if (choice === 'required' && tools.length === 0) {
    throw invalid('tool_choice', 'is only allowed when tools are given');
  }
  if (choice === 'none' || tools.length === 0) return [];
  const asked = lastUserText(body);
  const mentioned = tools.filter((tool) => mentions(asked, tool.function.name));
  const chosen = mentioned.length === 0 && choice === 'required' ? tools.slice(0, 1) : mentioned;
  return body.parallel_tool_calls === false ? chosen.slice(0, 1) : chosen;
}

/** The text of the last message that a user wrote; empty when there is none. */
export function lastUserText(body: ChatBody): string {
  const message = body.messages.findLast((one) => one.role === 'user');
  return message ? textOf(message) : '';
}

function mentions(text: string, name: string): boolean {
  return new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(text);
}
