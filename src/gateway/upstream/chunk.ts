import type { Picodollars } from '../../platform/money.ts';
import type { ToolCallDelta } from '../completion.ts';
import type { Usage } from '../ledger/prices.ts';

/** What one event of a stream says, beside the JSON text that is relayed as it came. */
export interface Chunk {
  text: string;
  reasoning: string;
  toolCalls: readonly ToolCallDelta[];
  refusal: string;
  /** Finish reasons by the index of their choice. */
  finishReasons: readonly { choice: number; reason: string }[];
  /** Indices of all choices that the event names. */
  choices: readonly number[];
  usage: Usage | null;
  /** What was used when the event was sent, told again at the end; it counts where the end never comes. */
  usageSoFar: Usage | null;
  /** What the provider says that the call cost. */
  cost: Picodollars | null;
  /** An event that only brings usage; relayed only to clients that asked for it. */
  isUsageOnly: boolean;
  model: string | null;
  /** An error inside the stream: the provider's own object or text. */
  error: unknown;
}

/** Whether the event is a reason to answer the client: until one comes, another provider can still be tried. */
export function isMeaningful(chunk: Chunk): boolean {
  return (
    chunk.text !== '' ||
    chunk.reasoning !== '' ||
    chunk.refusal !== '' ||
    chunk.toolCalls.length > 0 ||
    chunk.finishReasons.length > 0
  );
}

const NOTHING: Chunk = {
  text: '',
  reasoning: '',
  toolCalls: [],
  refusal: '',
  finishReasons: [],
  choices: [],
  usage: null,
  usageSoFar: null,
  cost: null,
  isUsageOnly: false,
  model: null,
  error: null,
};

/** A chunk that says only this. */
export function chunkOf(says: Partial<Chunk>): Chunk {
  return { ...NOTHING, ...says };
}
