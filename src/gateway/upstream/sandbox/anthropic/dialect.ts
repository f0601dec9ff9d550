import { invalid } from '../../../../platform/errors.ts';
import { type Ask, type Calling, type Effort, effortOfBudget, reasoningTokens, type Tool, toolsNamed } from '../ask.ts';
import type { ChatCall, Reading, SandboxDialect } from '../dialect.ts';
import { findChatModel } from '../models.ts';
import { type MessagesBody, parseMessagesBody } from './body.ts';
import { writeError } from './errors.ts';
import { MessageEvents } from './events.ts';
import { writeMessage } from './message.ts';
import { turnsOf } from './turns.ts';

/** The Messages API of Anthropic. */
export const anthropicSandbox: SandboxDialect = { name: 'ANTHROPIC', idPrefix: 'msg_', read, writeError };

function read(raw: Record<string, unknown>, modelId: string, { headers }: ChatCall): Reading {
  const version = headers['anthropic-version'];
  if (version === undefined) throw invalid('anthropic-version', 'header is required');
  if (!/^\d{4}-\d\d-\d\d$/.test(version.toString())) throw invalid('anthropic-version', 'is not a valid version');
  const body = parseMessagesBody(raw);
  const { thinking } = body;
  const hidesThinking = thinking !== undefined && 'display' in thinking && thinking.display === 'omitted';
  return {
    ask: askOf(body, modelId),
    isStream: body.stream === true,
    voice: {
      openStream: (answer, tally) => new MessageEvents(answer, tally, hidesThinking),
      writeWhole: (answer, choices, tally) => writeMessage(answer, choices, tally, hidesThinking),
    },
  };
}

function askOf(body: MessagesBody, modelId: string): Ask {
  const model = findChatModel(modelId);
  const tools = (body.tools ?? []).map(({ name, input_schema }, index): Tool => {
    return { name, schema: input_schema, param: `tools[${index}].input_schema` };
  });
  const format = body.output_config?.format;
  return {
    model,
    turns: turnsOf(body),
    tools,
    calling: callingOf(body, tools),
    reasoning: { tokens: reasoningTokens(model, effortOf(body)), beforeCalls: true },
    stops: body.stop_sequences ?? [],
    limit: body.max_tokens,
    choices: 1,
    format: format ? { type: 'schema', schema: format.schema, param: 'output_config.format.schema' } : { type: 'text' },
  };
}

function effortOf({ thinking, output_config }: MessagesBody): Effort {
  switch (thinking?.type) {
    case 'enabled':
      return effortOfBudget(thinking.budget_tokens);
    case 'adaptive': {
      const effort = output_config?.effort ?? 'high';
      return effort === 'max' ? 'xhigh' : effort;
    }
    default:
      return 'none';
  }
}

function callingOf({ tool_choice: choice }: MessagesBody, tools: readonly Tool[]): Calling {
  if (choice && choice.type !== 'none' && tools.length === 0) {
    throw invalid('tool_choice', 'may only be specified while providing `tools`.');
  }
  switch (choice?.type) {
    case 'none':
      return { mode: 'none', tools, isParallel: true };
    case 'tool':
      return { mode: 'required', tools: toolsNamed([choice.name], tools, 'tool_choice.name'), isParallel: false };
    default: {
      const isParallel = choice?.disable_parallel_tool_use !== true;
      return { mode: choice?.type === 'any' ? 'required' : 'auto', tools, isParallel };
    }
  }
}
