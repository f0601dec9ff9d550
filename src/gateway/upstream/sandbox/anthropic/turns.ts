import { invalid } from '../../../../platform/errors.ts';
import type { Turn } from '../ask.ts';
import type { Block, Message, MessagesBody } from './body.ts';

/**
 * The conversation as turns of their own: the results of tools that a user message begins with come before its text.
 * @throws ValidationError where calls of tools and their results do not belong together.
 */
export function turnsOf({ system, messages }: MessagesBody): Turn[] {
  checkToolResults(messages);
  const said = typeof system === 'string' ? system : (system ?? []).map(({ text }) => text).join('');
  const first: Turn[] = said ? [{ role: 'system', text: said, images: 0, calls: '' }] : [];
  return [...first, ...messages.flatMap(turnsOfMessage)];
}

function turnsOfMessage({ role, content }: Message): Turn[] {
  const blocks = blocksOf(content);
  const results = blocks.flatMap((block): Turn[] => {
    if (block.type !== 'tool_result') return [];
    return [{ role: 'tool', ...tellOf(blocksOf(block.content ?? [])), calls: '' }];
  });
  const others = blocks.filter(({ type }) => type !== 'tool_result');
  if (others.length === 0) return results;
  const calls = others.filter(({ type }) => type === 'tool_use');
  return [...results, { role, ...tellOf(others), calls: calls.length > 0 ? JSON.stringify(calls) : '' }];
}

function tellOf(blocks: readonly Block[]): { text: string; images: number } {
  return {
    text: blocks.map((block) => (block.type === 'text' ? block.text : '')).join(''),
    images: blocks.filter(({ type }) => type === 'image').length,
  };
}

/** Each call needs its result at the start of the next message, and each result its call in the one before. */
function checkToolResults(messages: readonly Message[]): void {
  let called: string[] = [];
  for (const [index, { content }] of messages.entries()) {
    const blocks = blocksOf(content);
    const first = blocks.findIndex(({ type }) => type !== 'tool_result');
    const leading = new Set(
      blocks
        .slice(0, first < 0 ? undefined : first)
        .flatMap((one) => (one.type === 'tool_result' ? [one.tool_use_id] : [])),
    );
    const path = `messages[${index}]`;
    const missing = called.filter((id) => !leading.has(id));
    if (missing.length > 0) {
      const message = `\`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${missing.join(', ')}.`;
      throw invalid(path, message);
    }
    for (const [at, block] of blocks.entries()) {
      if (block.type !== 'tool_result' || called.includes(block.tool_use_id)) continue;
      const message = `unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${block.tool_use_id}.`;
      throw invalid(`${path}.content[${at}]`, message);
    }
    called = blocks.flatMap((block) => (block.type === 'tool_use' ? [block.id] : []));
  }
}

function blocksOf(content: string | readonly Block[]): readonly Block[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content;
}
