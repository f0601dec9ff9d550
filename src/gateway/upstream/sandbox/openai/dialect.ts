import { invalid } from '../../../../platform/errors.ts';
import { type Ask, type Calling, type Format, reasoningTokens, type Tool, type Turn, toolsNamed } from '../ask.ts';
import type { Reading, SandboxDialect } from '../dialect.ts';
import { findChatModel } from '../models.ts';
import { type ChatBody, type ChatMessage, parseChatBody } from './body.ts';
import { writeError } from './errors.ts';
import { ChunkWriter, completionJson } from './events.ts';

/** OpenAI chat completions. */
export const openAISandbox: SandboxDialect = { name: 'OPENAI', idPrefix: 'chatcmpl-', read, writeError };

function read(raw: Record<string, unknown>, modelId: string): Reading {
  const body = parseChatBody(raw);
  const withUsage = body.stream_options?.include_usage === true;
  return {
    ask: askOf(body, modelId),
    isStream: body.stream === true,
    voice: {
      openStream: (answer, tally) => new ChunkWriter(answer, tally, withUsage),
      writeWhole: completionJson,
    },
  };
}

function askOf(body: ChatBody, modelId: string): Ask {
  const model = findChatModel(modelId);
  const tools = (body.tools ?? []).map(({ function: { name, parameters } }, index): Tool => {
    return { name, schema: parameters ?? null, param: `tools[${index}].function.parameters` };
  });
  return {
    model,
    turns: body.messages.map(turnOf),
    tools,
    calling: callingOf(body, tools),
    // Chat completions do not tell what a model thought before it called a tool.
    reasoning: { tokens: reasoningTokens(model, body.reasoning_effort ?? 'medium'), beforeCalls: false },
    stops: typeof body.stop === 'string' ? [body.stop] : (body.stop ?? []),
    limit: Math.min(body.max_tokens ?? Infinity, body.max_completion_tokens ?? Infinity),
    choices: body.n ?? 1,
    format: formatOf(body),
  };
}

function turnOf(message: ChatMessage): Turn {
  const { role, content } = message;
  const parts = typeof content === 'string' ? [{ text: content, image_url: undefined }] : (content ?? []);
  const calls = role === 'assistant' ? message.tool_calls : null;
  return {
    role: role === 'developer' ? 'system' : role,
    text: parts.map(({ text }) => text ?? '').join(''),
    images: parts.filter(({ image_url }) => image_url).length,
    calls: calls ? JSON.stringify(calls) : '',
  };
}

function callingOf(body: ChatBody, tools: readonly Tool[]): Calling {
  const choice = body.tool_choice ?? 'auto';
  const isParallel = body.parallel_tool_calls !== false;
  if (typeof choice === 'object') {
    return { mode: 'required', tools: toolsNamed([choice.function.name], tools, 'tool_choice'), isParallel };
  }
  if (choice === 'required' && tools.length === 0) {
    throw invalid('tool_choice', 'is only allowed when tools are given');
  }
  return { mode: choice, tools, isParallel };
}

function formatOf({ response_format }: ChatBody): Format {
  switch (response_format?.type) {
    case 'json_schema': {
      const schema = response_format.json_schema.schema ?? { type: 'object' };
      return { type: 'schema', schema, param: 'response_format.json_schema.schema' };
    }
    case 'json_object':
      return { type: 'json' };
    default:
      return { type: 'text' };
  }
}
