import { invalid } from '../../../../platform/errors.ts';
import {
  type Ask,
  type Calling,
  type Effort,
  effortOfBudget,
  type Format,
  reasoningTokens,
  type Tool,
  toolsNamed,
} from '../ask.ts';
import type { ChatCall, Reading, SandboxDialect } from '../dialect.ts';
import { findChatModel } from '../models.ts';
import { type GenerateBody, parseGenerateBody } from './body.ts';
import { writeError } from './errors.ts';
import { CandidateChunks } from './events.ts';
import { writeCandidates } from './response.ts';
import { toJsonSchema } from './schema.ts';
import { turnsOf } from './turns.ts';

/** The generateContent API of Gemini. */
export const geminiSandbox: SandboxDialect = { name: 'GEMINI', idPrefix: '', read, writeError };

function read(raw: Record<string, unknown>, modelId: string, { named }: ChatCall): Reading {
  const body = parseGenerateBody(raw);
  const showsThoughts = body.generationConfig?.thinkingConfig?.includeThoughts === true;
  return {
    ask: askOf(body, modelId),
    isStream: named?.isStream === true,
    voice: {
      openStream: (answer, tally) => new CandidateChunks(answer, tally, showsThoughts),
      writeWhole: (answer, choices, tally) => writeCandidates(answer, choices, tally, showsThoughts),
    },
  };
}

function askOf(body: GenerateBody, modelId: string): Ask {
  const model = findChatModel(modelId);
  const config = body.generationConfig ?? {};
  const tools = toolsOf(body);
  return {
    model,
    turns: turnsOf(body),
    tools,
    calling: callingOf(body, tools),
    reasoning: { tokens: reasoningTokens(model, effortOf(config)), beforeCalls: true },
    stops: config.stopSequences ?? [],
    limit: config.maxOutputTokens ?? Infinity,
    choices: config.candidateCount ?? 1,
    format: formatOf(config),
  };
}

function toolsOf({ tools = [] }: GenerateBody): Tool[] {
  return tools.flatMap(({ functionDeclarations = [] }, at) =>
    functionDeclarations.map(({ name, parameters, parametersJsonSchema }, index): Tool => {
      const path = `tools[${at}].functionDeclarations[${index}]`;
      if (!parameters) return { name, schema: parametersJsonSchema ?? null, param: `${path}.parametersJsonSchema` };
      const param = `${path}.parameters`;
      return { name, schema: toJsonSchema(parameters, param), param };
    }),
  );
}

function callingOf({ toolConfig }: GenerateBody, tools: readonly Tool[]): Calling {
  const { mode = 'AUTO', allowedFunctionNames: allowed = [] } = toolConfig?.functionCallingConfig ?? {};
  const path = 'toolConfig.functionCallingConfig';
  if (mode === 'NONE') return { mode: 'none', tools, isParallel: true };
  if (allowed.length > 0 && mode !== 'ANY' && mode !== 'VALIDATED') {
    throw invalid(`${path}.allowedFunctionNames`, 'should be set only when the mode is ANY or VALIDATED.');
  }
  const callable = allowed.length > 0 ? toolsNamed(allowed, tools, `${path}.allowedFunctionNames`) : tools;
  if (mode !== 'ANY') return { mode: 'auto', tools: callable, isParallel: true };
  if (callable.length === 0) throw invalid(`${path}.mode`, 'ANY is only allowed when functionDeclarations are given');
  return { mode: 'required', tools: callable, isParallel: true };
}

type Config = NonNullable<GenerateBody['generationConfig']>;

function effortOf({ thinkingConfig: { thinkingLevel, thinkingBudget } = {} }: Config): Effort {
  switch (thinkingLevel) {
    case 'MINIMAL':
      return 'minimal';
    case 'LOW':
      return 'low';
    case 'HIGH':
      return 'high';
    default:
      // A budget of -1 leaves it to the model.
      return thinkingBudget === undefined || thinkingBudget < 0 ? 'medium' : effortOfBudget(thinkingBudget);
  }
}

function formatOf({ responseMimeType, responseSchema, responseJsonSchema }: Config): Format {
  if (responseSchema) {
    const param = 'generationConfig.responseSchema';
    return { type: 'schema', schema: toJsonSchema(responseSchema, param), param };
  }
  if (responseJsonSchema) {
    return { type: 'schema', schema: responseJsonSchema, param: 'generationConfig.responseJsonSchema' };
  }
  return { type: responseMimeType === 'application/json' ? 'json' : 'text' };
}
