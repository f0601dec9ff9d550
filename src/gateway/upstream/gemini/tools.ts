import type { Tool, ToolConfig } from '@google/genai';
import { invalid } from '../../../platform/errors.ts';
import { type ChatBody, isRecord } from '../body.ts';
import type { Notes } from '../notes.ts';

/** Tools that Google runs itself, which clients name in its own way: `{"googleSearch": {}}`. */
const OWN_TOOLS = ['googleSearch', 'googleSearchRetrieval', 'googleMaps', 'codeExecution', 'urlContext', 'fileSearch'];

/** @throws ValidationError for a function without a name */
export function toTools({ tools }: ChatBody, notes: Notes): Tool[] {
  if (tools == null) return [];
  if (!Array.isArray(tools)) throw invalid('tools', 'must be a list');
  const functionDeclarations: NonNullable<Tool['functionDeclarations']> = [];
  const own: Tool[] = [];
  for (const [at, tool] of tools.entries()) {
    if (!isRecord(tool)) throw invalid(`tools.${at}`, 'must be an object');
    const { name, description, parameters } = isRecord(tool.function) ? tool.function : {};
    if (typeof name === 'string' && name !== '')
      functionDeclarations.push({
        name,
        ...(typeof description === 'string' && description !== '' ? { description } : {}),
        ...(isRecord(parameters) ? { parametersJsonSchema: parameters } : {}),
      });
    else if (tool.type === 'function') throw invalid(`tools.${at}.function.name`, 'must be given');
    else if (OWN_TOOLS.some((known) => isRecord(tool[known]))) own.push(tool as Tool);
    else notes.leftOut(`tools.${at}`, 'Gemini does not know it');
  }
  return [...(functionDeclarations.length > 0 ? [{ functionDeclarations }] : []), ...own];
}

/** Whether the model calls functions; undefined: as it sees fit. */
export function toToolConfig({ tool_choice: choice }: ChatBody): ToolConfig | undefined {
  if (choice == null || choice === 'auto') return undefined;
  if (choice === 'none') return config('NONE');
  if (choice === 'required') return config('ANY');
  const name = isRecord(choice) && isRecord(choice.function) ? choice.function.name : null;
  if (typeof name !== 'string') throw invalid('tool_choice', 'must be none, auto, required or a function');
  return config('ANY', [name]);
}

function config(mode: 'NONE' | 'ANY', allowedFunctionNames?: string[]): ToolConfig {
  return {
    functionCallingConfig: { mode, ...(allowedFunctionNames ? { allowedFunctionNames } : {}) } as NonNullable<
      ToolConfig['functionCallingConfig']
    >,
  };
}
