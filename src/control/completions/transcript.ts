import type { AnswerHead, CompletionReport, ToolCallDelta } from '../../gateway/completion.ts';
import type { Chunk } from '../../gateway/upstream/chunk.ts';

/** Characters of a streamed answer that are kept for its last event; the deltas have brought them all anyway. */
const KEPT_LENGTH = 4_194_304;

export interface ToolCall {
  id: string | null;
  name: string;
  /** JSON text as the model wrote it, which may not be valid. */
  arguments: string;
}

/** A completion that has ended well. */
export interface Answer {
  report: CompletionReport;
  provider: string;
  model: string;
  text: string | null;
  reasoning: string | null;
  toolCalls: readonly ToolCall[];
}

/** Puts an answer together from what arrives of it. */
export class Transcript {
  #text = '';
  #reasoning = '';
  readonly #toolCalls = new Map<number, ToolCall>();
  #length = 0;

  add(part: { text: string; reasoning: string; toolCalls: readonly ToolCallDelta[] }): void {
    this.#length += part.text.length + part.reasoning.length;
    for (const call of part.toolCalls) this.#length += call.arguments.length;
    if (this.#length > KEPT_LENGTH) return;
    this.#text += part.text;
    this.#reasoning += part.reasoning;
    for (const { index, id, name, arguments: fragment } of part.toolCalls) {
      const call = this.#toolCalls.get(index) ?? { id: null, name: '', arguments: '' };
      this.#toolCalls.set(index, {
        id: call.id ?? id,
        name: call.name || (name ?? ''),
        arguments: call.arguments + fragment,
      });
    }
  }

  /** With `report`, the answer. One that was too long to keep has no content here: a part of it would look complete. */
  finish(head: AnswerHead, report: CompletionReport): Answer {
    const from = origin(head, report);
    if (this.#length > KEPT_LENGTH) return { ...from, text: null, reasoning: null, toolCalls: [] };
    const toolCalls = [...this.#toolCalls].sort(([a], [b]) => a - b).map(([, call]) => call);
    return { ...from, text: this.#text || null, reasoning: this.#reasoning || null, toolCalls };
  }
}

/** The answer that came whole. */
export function wholeAnswer(chunk: Chunk, head: AnswerHead, report: CompletionReport): Answer {
  return {
    ...origin(head, report),
    text: chunk.text || chunk.refusal || null,
    reasoning: chunk.reasoning || null,
    toolCalls: chunk.toolCalls.map(({ id, name, arguments: text }) => ({
      id,
      name: name ?? '',
      arguments: text,
    })),
  };
}

function origin(head: AnswerHead, report: CompletionReport): Pick<Answer, 'report' | 'provider' | 'model'> {
  return { report, provider: report.provider ?? head.provider, model: report.model ?? head.model };
}
