import type { CompletionReport } from '../completion.ts';
import type { WholeAnswer } from '../relay.ts';
import { isRecord } from '../upstream/body.ts';
import { readCompletion } from '../upstream/openai/read-chunk.ts';
import { usageOf } from '../upstream/openai/write.ts';

type Members = Record<string, unknown>;

/** Of a message or a tool call: providers repeat these in later pieces. */
const TOLD_ONCE = new Set(['role', 'id', 'type', 'name']);

/** Puts the events of a streamed chat answer together to the answer that is not streamed. */
export class Assembly {
  readonly #head: Members = {};
  readonly #choices = new Map<number, Members>();

  /** @param data a `chat.completion.chunk` as JSON text */
  add(data: string): void {
    const { choices, ...head } = JSON.parse(data) as Members;
    for (const [name, value] of Object.entries(head)) if (value !== null) this.#head[name] = value;
    for (const part of Array.isArray(choices) ? choices.filter(isRecord) : []) this.#addChoice(part);
  }

  /** @param usageEvent the provider's last one, as JSON text */
  finish(report: CompletionReport, usageEvent: string | null): WholeAnswer {
    const { usage: told, ...head } = this.#head;
    const usage = (usageEvent === null ? null : (JSON.parse(usageEvent) as Members).usage) ?? told ?? counted(report);
    const choices = [...this.#choices].sort(([one], [other]) => one - other).map(([, choice]) => choice);
    const answer = { ...head, object: 'chat.completion', choices, ...(usage ? { usage } : {}) };
    return { body: Buffer.from(JSON.stringify(answer)), chunk: readCompletion(answer) };
  }

  #addChoice({ index: place, delta, message, ...more }: Members): void {
    const index = typeof place === 'number' ? place : 0;
    const choice = this.#choices.get(index) ?? { index, message: { role: 'assistant', content: null } };
    const { tool_calls: calls, ...pieces } = isRecord(delta) ? delta : isRecord(message) ? message : {};
    const whole = choice.message as Members;
    join(whole, pieces);
    if (Array.isArray(calls))
      whole.tool_calls = withCalls((whole.tool_calls ?? []) as Members[], calls.filter(isRecord));
    join(choice, more);
    this.#choices.set(index, choice);
  }
}

function withCalls(calls: Members[], pieces: readonly Members[]): Members[] {
  for (const [position, { index, ...piece }] of pieces.entries()) {
    const at = typeof index === 'number' && index >= 0 && index < 1_000 ? index : position;
    while (calls.length <= at) calls.push({});
    join(calls[at] as Members, piece);
  }
  return calls;
}

/** Texts and lists go on, objects member by member, and of everything else the last one counts. */
function join(whole: Members, piece: Members): void {
  for (const [name, value] of Object.entries(piece)) {
    const before = Object.hasOwn(whole, name) ? whole[name] : undefined;
    if (value === null && before !== undefined) continue;
    if (TOLD_ONCE.has(name) && before) continue;
    if (isRecord(value)) {
      const inner = isRecord(before) ? before : {};
      join(inner, value);
      whole[name] = inner;
    } else if (Array.isArray(before) || (Array.isArray(value) && before)) {
      whole[name] = [...asParts(before), ...asParts(value)];
    } else if (typeof before === 'string' && typeof value === 'string' && name !== 'finish_reason') {
      whole[name] = before + value;
    } else {
      whole[name] = value;
    }
  }
}

/** Mistral sends content as text, and as a list of parts where the model thinks. */
function asParts(content: unknown): unknown[] {
  if (Array.isArray(content)) return content;
  return typeof content === 'string' ? [{ type: 'text', text: content }] : [];
}

function counted({ usage }: CompletionReport) {
  return usage.inputTokens === null && usage.outputTokens === null ? null : usageOf(usage);
}
