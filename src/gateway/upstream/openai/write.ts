import type { Usage } from '../../ledger/prices.ts';
import { type Chunk, chunkOf } from '../chunk.ts';
import type { Piece } from '../dialect.ts';

/** What all events of one answer have in common. */
export interface AnswerIdentity {
  id: string;
  /** Seconds since 1970. */
  created: number;
  model: string;
}

/** Writes the events of a streamed answer. What stays the same from event to event is put together once. */
export class ChunkWriter {
  readonly #head: string;
  readonly #model: string;

  constructor({ id, created, model }: AnswerIdentity) {
    const name = JSON.stringify(model);
    this.#head = `{"id":${JSON.stringify(id)},"object":"chat.completion.chunk","created":${created},"model":${name},"choices":[`;
    this.#model = model;
  }

  /**
   * An event of one choice.
   * @param members of its `delta`, as JSON: `"content":"Hi"`
   * @param says what they say
   */
  delta(choice: number, members: string, says: Partial<Chunk>): Piece {
    return {
      data: `${this.#head}{"index":${choice},"delta":{${members}},"finish_reason":null}]}`,
      chunk: chunkOf({ model: this.#model, choices: [choice], ...says }),
    };
  }

  /** @param native the provider's own word for why it ended */
  finish(choice: number, reason: string, native: string | null): Piece {
    const own = native === null ? '' : `,"native_finish_reason":${JSON.stringify(native)}`;
    return {
      data: `${this.#head}{"index":${choice},"delta":{},"finish_reason":"${reason}"${own}}]}`,
      chunk: chunkOf({ model: this.#model, choices: [choice], finishReasons: [{ choice, reason }] }),
    };
  }

  /** The last event, which belongs to no choice. */
  usage(usage: Usage): Piece {
    return {
      data: `${this.#head}],"usage":${JSON.stringify(usageOf(usage))}}`,
      chunk: chunkOf({ model: this.#model, usage, isUsageOnly: true }),
    };
  }
}

/** Usage as OpenAI has it. */
export function usageOf(usage: Usage) {
  const input = usage.inputTokens ?? 0;
  const output = usage.outputTokens ?? 0;
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: {
      cached_tokens: usage.cachedTokens ?? 0,
      ...(usage.cacheWriteTokens === null ? {} : { cache_write_tokens: usage.cacheWriteTokens }),
    },
    completion_tokens_details: { reasoning_tokens: usage.reasoningTokens ?? 0 },
  };
}
