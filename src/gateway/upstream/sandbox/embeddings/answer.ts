import { setImmediate as afterOthers } from 'node:timers/promises';
import { invalid } from '../../../../platform/errors.ts';
import { failsAtOnce } from '../at-once.ts';
import { parseControls } from '../controls.ts';
import type { SandboxDialect } from '../dialect.ts';
import type { Exchange } from '../exchange.ts';
import { type ModelName, readModelName } from '../model-name.ts';
import { faultWanted, parseObject } from '../request.ts';
import { sendBody } from '../send-body.ts';
import { vectorOf } from './vector.ts';

/** A text to embed, or what stands for one that came as tokens. */
export interface EmbeddingInput {
  text: string;
  tokens: number;
}

/** What an embedding request asks for, whatever the dialect that it was written in. */
export interface EmbeddingAsk {
  inputs: readonly EmbeddingInput[];
  dimensions: number;
  /** JSON text of one vector. */
  writeVector(vector: Float32Array, index: number): string;
  /** JSON text of the answer around its vectors. */
  writeWhole(vectors: string, promptTokens: number): string;
}

/** @throws ValidationError naming the first member that is wrong; ModelNotFoundError. */
export type ReadEmbeddingAsk = (body: Record<string, unknown>, model: ModelName) => EmbeddingAsk;

/** How a request for embeddings is written. */
export interface EmbeddingCall {
  dialect: SandboxDialect;
  /** The model's name where the URL says it; null where the body does. */
  named: string | null;
  readAsk: ReadEmbeddingAsk;
}

/** Keeps the answer to one request under about 30 MB. */
const MOST_NUMBERS = 1_048_576;
/** After so many numbers others get their turn. */
const NUMBERS_AT_ONCE = 32_768;
/** Where in its body a fault in the middle happens. */
const FAULT_AT = 2 / 3;

/**
 * Answers one request for embeddings.
 * @throws ValidationError, ModelNotFoundError
 */
export async function answerEmbeddings(
  bytes: Buffer,
  { dialect, named, readAsk }: EmbeddingCall,
  { headers, client, record, scenarios }: Exchange,
): Promise<void> {
  const body = parseObject(bytes);
  const model = readModelName(named ?? body.model);
  const ask = readAsk(body, model);
  if (ask.inputs.length * ask.dimensions > MOST_NUMBERS) {
    throw invalid('', `The request asks for more than ${MOST_NUMBERS} numbers.`);
  }
  const controls = parseControls(body.sandbox, headers['x-sandbox']?.toString(), model.controls);
  const fault = scenarios.happens(controls, model.asked) ? faultWanted(controls, null) : null;
  const doomed = { dialect, controls, fault };
  record.model = model.asked;
  const tokens = ask.inputs.reduce((sum, input) => sum + input.tokens, 0);
  if (!(await client.sleep((controls.latencyMs ?? 0) + (controls.firstTokenMs ?? 0)))) return;
  if (failsAtOnce(doomed, { tokens, isPrefilled: false }, client)) return;
  const vectors = await writeVectors(ask);
  await sendBody(Buffer.from(ask.writeWhole(vectors, tokens)), FAULT_AT, doomed, client);
}

async function writeVectors({ inputs, dimensions, writeVector }: EmbeddingAsk): Promise<string> {
  const written: string[] = [];
  let made = 0;
  for (const [index, { text }] of inputs.entries()) {
    written.push(writeVector(vectorOf(text, dimensions), index));
    made += dimensions;
    if (made < NUMBERS_AT_ONCE) continue;
    made = 0;
    await afterOthers();
  }
  return written.join();
}
