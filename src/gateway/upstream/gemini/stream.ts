import { isRecord } from '../body.ts';
import { chunkOf } from '../chunk.ts';
import type { Piece, StreamReader } from '../dialect.ts';
import { type AnswerIdentity, ChunkWriter } from '../openai/write.ts';
import { type Call, Candidates, type Said, signed } from './candidates.ts';
import { isFailure, toFinishReason } from './finish-reason.ts';

/**
 * Reads a stream of generateContent responses. It ends with its connection, and some models name the reason why they end
 * more than once: finish and usage are told when nothing follows.
 */
export class GeminiStream implements StreamReader {
  readonly isDone = false;
  readonly #candidates: Candidates;
  readonly #begun = new Set<number>();
  #write: ChunkWriter | null = null;

  constructor(identity: AnswerIdentity) {
    this.#candidates = new Candidates(identity);
  }

  get isFinished(): boolean {
    return this.#candidates.isFinished;
  }

  push(data: string): readonly Piece[] {
    const response = parse(data);
    if (!response) return [];
    if (response.error != null) return [{ data: JSON.stringify(response), chunk: chunkOf({ error: response.error }) }];
    const said = this.#candidates.read(response);
    const failure = failureOf(this.#candidates, response);
    if (failure) return [failure];
    return this.#tell(said);
  }

  end(): readonly Piece[] {
    const { reasons, usage } = this.#candidates;
    const pieces = [...this.#tell(this.#candidates.end())];
    if (!this.isFinished) return pieces;
    for (const [choice, native] of reasons) {
      const reason = toFinishReason(native ?? '', this.#candidates.callsTools(choice));
      pieces.push(...this.#begin(choice), this.#writer().finish(choice, reason, native));
    }
    if (usage) pieces.push(this.#writer().usage(usage));
    return pieces;
  }

  #tell(said: readonly Said[]): Piece[] {
    const pieces = said.flatMap((one) => [...this.#begin(one.choice), this.#piece(one)]);
    if (pieces[0]) pieces[0].chunk.usageSoFar = this.#candidates.usage;
    return pieces;
  }

  #begin(choice: number): Piece[] {
    if (this.#begun.has(choice)) return [];
    this.#begun.add(choice);
    return [this.#writer().delta(choice, '"role":"assistant","content":""', {})];
  }

  /** What all events have in common is known with the first response. */
  #writer(): ChunkWriter {
    this.#write ??= new ChunkWriter(this.#candidates.identity);
    return this.#write;
  }

  #piece(said: Said): Piece {
    const write = this.#writer();
    switch (said.type) {
      case 'text':
        return write.delta(said.choice, `"content":${JSON.stringify(said.text)}`, { text: said.text });
      case 'thought':
        return write.delta(said.choice, `"reasoning_content":${JSON.stringify(said.text)}`, { reasoning: said.text });
      case 'signature':
        return write.delta(said.choice, JSON.stringify(signed(said.text)).slice(1, -1), {});
      case 'call': {
        const { signature, ...call } = said.call;
        return write.delta(said.choice, `"tool_calls":[${JSON.stringify(toolCall(said.call))}]`, { toolCalls: [call] });
      }
      case 'foreign':
        return write.delta(said.choice, `"gemini_parts":[${JSON.stringify(said.part)}]`, {});
    }
  }
}

/** A call as OpenAI has it. */
export function toolCall({ index, id, name, arguments: text, signature }: Call) {
  return {
    index,
    id,
    type: 'function',
    function: { name, arguments: text },
    ...(signature === null ? {} : signed(signature)),
  };
}

/** An end that is the model's fault, as an error that another target may not have. */
export function failureOf({ reasons, usage, identity }: Candidates, response: Record<string, unknown>): Piece | null {
  const native = [...reasons.values()].find((reason) => reason !== null && isFailure(reason));
  if (!native) return null;
  const [candidate] = Array.isArray(response.candidates) ? response.candidates : [];
  const told = isRecord(candidate) ? candidate.finishMessage : null;
  const message = typeof told === 'string' && told !== '' ? told : 'The model wrote a call that cannot be read.';
  const error = { code: 502, status: native, message };
  return { data: JSON.stringify({ error }), chunk: chunkOf({ error, usage, model: identity.model }) };
}

/** A response; some errors come as a list with one in it. */
function parse(data: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(data);
    const first = Array.isArray(value) ? value[0] : value;
    return isRecord(first) ? first : null;
  } catch {
    return null;
  }
}
