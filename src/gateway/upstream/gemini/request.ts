import { invalid } from '../../../platform/errors.ts';
import type { ChatBody } from '../body.ts';
import type { ChatRequest } from '../dialect.ts';
import { Notes } from '../notes.ts';
import { toConversation } from './contents.ts';
import { CONFIGURING, toGenerationConfig } from './generation-config.ts';
import { needsSignatures } from './models.ts';
import { toToolConfig, toTools } from './tools.ts';

/** Members that are translated here or by the gateway; everything else is Gemini's own, or left out. */
const TRANSLATED = new Set([
  ...['model', 'messages', 'stream', 'stream_options', 'tools', 'tool_choice', ...CONFIGURING],
  // Controls of the sandbox, which reach it in a header or not at all.
  'sandbox',
]);

/** Members of Gemini's own API, from clients that know where the request goes; passed on as they are. */
const OWN = new Set(['safetySettings', 'cachedContent']);

/**
 * Puts a chat completion into Gemini's words.
 * @throws ValidationError when it asks for what generateContent cannot do
 */
export function toGemini({ body: { chat }, model, images }: ChatRequest): { params: object; warnings: string[] } {
  const notes = new Notes('Gemini');
  const { system, contents } = toConversation(chat.messages, images, notes, needsSignatures(model.name));
  if (contents.length === 0) throw invalid('messages', 'must hold something that the user says, for Gemini');
  const tools = toTools(chat, notes);
  const toolConfig = tools.some((tool) => tool.functionDeclarations) ? toToolConfig(chat) : undefined;
  const generationConfig = toGenerationConfig(chat, model.name, notes);
  const params = {
    ...(system.length > 0 ? { systemInstruction: { parts: system } } : {}),
    contents,
    ...(tools.length > 0 ? { tools } : {}),
    ...(toolConfig ? { toolConfig } : {}),
    ...(Object.keys(generationConfig).length > 0 ? { generationConfig } : {}),
    ...ownMembers(chat, notes),
  };
  return { params, warnings: notes.warnings };
}

function ownMembers(chat: ChatBody, notes: Notes): Record<string, unknown> {
  const own: Record<string, unknown> = {};
  for (const [member, value] of Object.entries(chat)) {
    if (value == null || TRANSLATED.has(member)) continue;
    if (OWN.has(member)) own[member] = value;
    // Several calls at once are what it does by itself.
    else if (member !== 'parallel_tool_calls' || value === false) notes.leftOut(member);
  }
  return own;
}
