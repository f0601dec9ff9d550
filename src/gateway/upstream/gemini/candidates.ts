import type { Usage } from '../../ledger/prices.ts';
import { isRecord } from '../body.ts';
import type { AnswerIdentity } from '../openai/write.ts';
import { PartialCall } from './partial-call.ts';
import { readUsage } from './usage.ts';

type Fields = Record<string, unknown>;

/** A call of one of the caller's functions. */
export interface Call {
  /** Its place among the calls of its choice. */
  index: number;
  id: string;
  name: string;
  /** JSON text. */
  arguments: string;
  signature: string | null;
}

/** One thing that a choice says. */
export type Said =
  | { choice: number; type: 'text' | 'thought' | 'signature'; text: string }
  | { choice: number; type: 'call'; call: Call }
  /** What OpenAI has no place for, in Gemini's shape. */
  | { choice: number; type: 'foreign'; part: Fields };

/** Reads the responses of one answer, one after the other; a whole answer is one response. */
export class Candidates {
  readonly identity: AnswerIdentity;
  /** Why each choice ended, in Gemini's words; null: it has not yet. */
  readonly reasons = new Map<number, string | null>();
  usage: Usage | null = null;
  readonly #calls = new Map<number, number>();
  readonly #open = new Map<number, PartialCall>();

  constructor(identity: AnswerIdentity) {
    this.identity = { ...identity };
  }

  /** Whether there is anything, and all of it has ended. */
  get isFinished(): boolean {
    return this.reasons.size > 0 && [...this.reasons.values()].every((reason) => reason !== null);
  }

  callsTools(choice: number): boolean {
    return (this.#calls.get(choice) ?? 0) > 0;
  }

  read(response: Fields): Said[] {
    const { candidates, promptFeedback, usageMetadata, responseId, modelVersion } = response;
    if (typeof responseId === 'string' && responseId) this.identity.id = responseId;
    if (typeof modelVersion === 'string' && modelVersion) this.identity.model = modelVersion;
    this.usage = readUsage(usageMetadata) ?? this.usage;
    const said = Array.isArray(candidates) ? candidates.filter(isRecord).flatMap((one) => this.#readOne(one)) : [];
    const blocked = isRecord(promptFeedback) ? promptFeedback.blockReason : null;
    // The prompt itself was refused: there is no candidate then.
    if (typeof blocked === 'string' && this.reasons.size === 0) this.reasons.set(0, 'SAFETY');
    return said;
  }

  /** What is still open when nothing follows. */
  end(): Said[] {
    return [...this.#open.keys()].flatMap((choice) => this.#close(choice));
  }

  #readOne({ index, content, finishReason }: Fields): Said[] {
    const choice = Number.isInteger(index) ? (index as number) : 0;
    const parts = isRecord(content) && Array.isArray(content.parts) ? content.parts.filter(isRecord) : [];
    const isEnd = typeof finishReason === 'string' && finishReason !== 'FINISH_REASON_UNSPECIFIED';
    if (isEnd) this.reasons.set(choice, finishReason);
    else if (!this.reasons.has(choice)) this.reasons.set(choice, null);
    return parts.flatMap((part) => this.#readPart(choice, part));
  }

  #readPart(choice: number, part: Fields): Said[] {
    const { text, thought, functionCall, thoughtSignature } = part;
    const signature = typeof thoughtSignature === 'string' && thoughtSignature !== '' ? thoughtSignature : null;
    if (isRecord(functionCall)) return this.#readCall(choice, functionCall, signature);
    if (typeof text !== 'string') return [{ choice, type: 'foreign', part }];
    return [
      ...(text === '' ? [] : [{ choice, type: thought === true ? ('thought' as const) : ('text' as const), text }]),
      ...(signature === null ? [] : [{ choice, type: 'signature' as const, text: signature }]),
    ];
  }

  #readCall(choice: number, call: Fields, signature: string | null): Said[] {
    const continues = call.willContinue === true;
    const open = this.#open.get(choice);
    if (open && call.name === undefined) {
      open.add(call.partialArgs);
      return continues ? [] : this.#close(choice);
    }
    const said = this.#close(choice);
    const started = new PartialCall(call, signature);
    started.add(call.partialArgs);
    this.#open.set(choice, started);
    return continues ? said : [...said, ...this.#close(choice)];
  }

  #close(choice: number): Said[] {
    const open = this.#open.get(choice);
    if (!open) return [];
    this.#open.delete(choice);
    const index = this.#calls.get(choice) ?? 0;
    this.#calls.set(choice, index + 1);
    // Gemini mostly gives none, and OpenAI clients need one to answer to.
    const id = open.id ?? `call_${this.identity.id}_${choice}_${index}`;
    const { name, args, signature } = open;
    return [{ choice, type: 'call', call: { index, id, name, arguments: JSON.stringify(args), signature } }];
  }
}

/** Where Google's own OpenAI-compatible API puts the signature of a thought. */
export function signed(signature: string) {
  return { extra_content: { google: { thought_signature: signature } } };
}
