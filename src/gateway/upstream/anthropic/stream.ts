import type { Usage } from '../../ledger/prices.ts';
import { isRecord } from '../body.ts';
import { chunkOf } from '../chunk.ts';
import { LARGEST_KEPT, MalformedAnswer, type Piece, type StreamReader } from '../dialect.ts';
import { type AnswerIdentity, ChunkWriter } from '../openai/write.ts';
import { toFinishReason } from './finish-reason.ts';
import { readUsage } from './usage.ts';

type Fields = Record<string, unknown>;

/** The block that is being told. */
type Block =
  | { type: 'text' }
  | { type: 'thinking'; detail: number }
  | { type: 'call'; index: number; input: string; hasArguments: boolean }
  /** What OpenAI has no place for, such as the calls of Anthropic's own tools; told whole, in Anthropic's shape. */
  | { type: 'foreign'; block: Fields; input: string };

/** Reads a stream of Messages events: message_start, blocks with their deltas, message_delta, message_stop. */
export class AnthropicStream implements StreamReader {
  isDone = false;
  isFinished = false;
  readonly #identity: AnswerIdentity;
  readonly #answerTool: string | null;
  #write: ChunkWriter;
  #block: Block | null = null;
  #calls = 0;
  #details = 0;
  #usage: Usage | null = null;

  /** @param identity what the answer is called as long as it has no name of its own */
  constructor(identity: AnswerIdentity, answerTool: string | null) {
    this.#identity = identity;
    this.#answerTool = answerTool;
    this.#write = new ChunkWriter(identity);
  }

  push(data: string): readonly Piece[] {
    const event = parse(data);
    switch (event?.type) {
      case 'message_start':
        return this.#start(isRecord(event.message) ? event.message : {});
      case 'content_block_start':
        return this.#open(event.content_block);
      case 'content_block_delta':
        return isRecord(event.delta) ? this.#continue(event.delta) : [];
      case 'content_block_stop':
        return this.#close();
      case 'message_delta':
        this.#usage = readUsage(event.usage, this.#usage);
        return this.#finish(isRecord(event.delta) ? event.delta.stop_reason : null);
      case 'message_stop':
        this.isDone = true;
        return [];
      case 'error':
        return [{ data, chunk: chunkOf({ error: event.error ?? event }) }];
      default:
        return [];
    }
  }

  end(): readonly Piece[] {
    return this.#usage && this.isFinished ? [this.#write.usage(this.#usage)] : [];
  }

  /** A message that goes on after a call of Anthropic's code execution comes whole in its first event. */
  #start({ id, model, usage, content, stop_reason }: Fields): readonly Piece[] {
    this.#usage = readUsage(usage);
    this.#name({
      ...(typeof id === 'string' && id ? { id } : {}),
      ...(typeof model === 'string' && model ? { model } : {}),
    });
    const blocks = Array.isArray(content) ? content : [];
    return [
      this.#write.delta(0, '"role":"assistant","content":""', { usageSoFar: this.#usage }),
      ...blocks.flatMap((block) => [...this.#open(block), ...this.#close()]),
      ...this.#finish(stop_reason),
    ];
  }

  #name(names: Partial<AnswerIdentity>): void {
    Object.assign(this.#identity, names);
    this.#write = new ChunkWriter(this.#identity);
  }

  #open(block: unknown): readonly Piece[] {
    if (!isRecord(block)) return [];
    switch (block.type) {
      case 'text':
        this.#block = { type: 'text' };
        return this.#text(block.text);
      case 'thinking':
        this.#block = { type: 'thinking', detail: this.#details++ };
        return [...this.#think(this.#block.detail, block.thinking), ...this.#sign(this.#block.detail, block.signature)];
      case 'redacted_thinking': {
        const detail = { type: 'reasoning.encrypted', data: block.data, index: this.#details++ };
        this.#block = null;
        return [this.#write.delta(0, `"reasoning_details":[${JSON.stringify(detail)}]`, {})];
      }
      case 'tool_use':
        return this.#openCall(block);
      default:
        this.#block = { type: 'foreign', block, input: '' };
        return [];
    }
  }

  #openCall({ id, name, input }: Fields): readonly Piece[] {
    const whole = isRecord(input) && Object.keys(input).length > 0 ? JSON.stringify(input) : '{}';
    if (name === this.#answerTool) {
      this.#block = { type: 'text' };
      return whole === '{}' ? [] : this.#text(whole);
    }
    const index = this.#calls++;
    this.#block = { type: 'call', index, input: whole, hasArguments: false };
    const call = { index, id: String(id ?? ''), name: String(name ?? '') };
    const written = { index, id: call.id, type: 'function', function: { name: call.name, arguments: '' } };
    return [
      this.#write.delta(0, `"tool_calls":[${JSON.stringify(written)}]`, { toolCalls: [{ ...call, arguments: '' }] }),
    ];
  }

  #continue(delta: Fields): readonly Piece[] {
    const block = this.#block;
    switch (delta.type) {
      case 'text_delta':
        return this.#text(delta.text);
      case 'thinking_delta':
        return block?.type === 'thinking' ? this.#think(block.detail, delta.thinking) : [];
      case 'signature_delta':
        return block?.type === 'thinking' ? this.#sign(block.detail, delta.signature) : [];
      case 'input_json_delta':
        return typeof delta.partial_json === 'string' ? this.#argue(delta.partial_json) : [];
      case 'citations_delta':
        return [this.#write.delta(0, `"citations":[${JSON.stringify(delta.citation ?? null)}]`, {})];
      default:
        return [];
    }
  }

  #text(text: unknown): readonly Piece[] {
    if (typeof text !== 'string' || text === '') return [];
    return [this.#write.delta(0, `"content":${JSON.stringify(text)}`, { text })];
  }

  #think(index: number, text: unknown): readonly Piece[] {
    if (typeof text !== 'string' || text === '') return [];
    const json = JSON.stringify(text);
    const detail = `{"type":"reasoning.text","text":${json},"index":${index}}`;
    return [this.#write.delta(0, `"reasoning_content":${json},"reasoning_details":[${detail}]`, { reasoning: text })];
  }

  #sign(index: number, signature: unknown): readonly Piece[] {
    if (typeof signature !== 'string' || signature === '') return [];
    const detail = JSON.stringify({ type: 'reasoning.text', signature, index });
    return [this.#write.delta(0, `"reasoning_details":[${detail}]`, {})];
  }

  /** A fragment of the arguments of a call. */
  #argue(fragment: string): readonly Piece[] {
    const block = this.#block;
    if (block?.type === 'text') return this.#text(fragment);
    if (block?.type === 'foreign') {
      block.input += fragment;
      if (block.input.length > LARGEST_KEPT) throw new MalformedAnswer('sent a call of its own larger than 16 MiB');
    }
    if (block?.type !== 'call' || fragment === '') return [];
    block.hasArguments = true;
    return [this.#arguments(block.index, fragment)];
  }

  #arguments(index: number, text: string): Piece {
    return this.#write.delta(0, `"tool_calls":[{"index":${index},"function":{"arguments":${JSON.stringify(text)}}}]`, {
      toolCalls: [{ index, id: null, name: null, arguments: text }],
    });
  }

  #close(): readonly Piece[] {
    const block = this.#block;
    this.#block = null;
    if (block?.type === 'call' && !block.hasArguments) return [this.#arguments(block.index, block.input)];
    if (block?.type !== 'foreign') return [];
    const { input: written } = block;
    const whole = written === '' ? block.block : { ...block.block, input: parse(written) ?? written };
    if (whole.type === 'fallback' && isRecord(whole.to) && typeof whole.to.model === 'string')
      this.#name({ model: whole.to.model });
    return [this.#write.delta(0, `"anthropic_content":[${JSON.stringify(whole)}]`, {})];
  }

  #finish(reason: unknown): readonly Piece[] {
    if (typeof reason !== 'string' || this.isFinished) return [];
    this.isFinished = true;
    const said = this.#answerTool && reason === 'tool_use' ? 'stop' : toFinishReason(reason);
    return [this.#write.finish(0, said, reason)];
  }
}

function parse(data: string): Fields | null {
  try {
    const value: unknown = JSON.parse(data);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}
