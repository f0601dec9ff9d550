import { isUtf8 } from 'node:buffer';
import { invalid } from '../../../platform/errors.ts';
import { isRecord } from '../body.ts';
import { type Controls, parseControls } from './controls.ts';
import type { ChatCall, Reading, SandboxDialect } from './dialect.ts';
import { digestOf } from './digest.ts';
import type { Fault } from './faults.ts';
import { type ModelName, readModelName } from './model-name.ts';
import type { Scenarios } from './scenarios.ts';

const SLOW_FIRST_TOKEN_MS = 30_000;

/** A checked chat request. */
export interface SandboxRequest extends Reading {
  dialect: SandboxDialect;
  model: ModelName;
  controls: Controls;
  /** What goes wrong: as asked for, or as the model has it. */
  fault: Fault | null;
  /** Wait before the first token. */
  firstTokenMs: number;
  /** Names the request's content; everything about the answer follows from it. */
  digest: string;
}

/**
 * Reads and checks a chat request. Its controls are in the member `sandbox` of the body, in the header `x-sandbox`, and
 * behind the name of its model.
 * @throws ValidationError naming the first member that is wrong; ModelNotFoundError.
 */
export function parseRequest(bytes: Buffer, call: ChatCall, scenarios: Scenarios): SandboxRequest {
  const body = parseObject(bytes);
  const model = readModelName(call.named?.model ?? body.model);
  const digest = digestOf({ ...body, model: model.id });
  const { dialect } = call;
  const { ask, isStream, voice } = dialect.read(body, model.id, call);
  const controls = parseControls(body.sandbox, call.headers['x-sandbox']?.toString(), model.controls);
  const wanted = faultWanted(controls, ask.model.fault);
  const fault = scenarios.happens(controls, model.asked) ? wanted : null;
  const isPrompt = wanted === 'slow-first-token' && fault === null;
  const firstTokenMs = isPrompt
    ? 0
    : (controls.firstTokenMs ?? (fault === 'slow-first-token' ? SLOW_FIRST_TOKEN_MS : 0));
  return { dialect, model, ask, isStream, voice, controls, fault, firstTokenMs, digest };
}

/** The fault that is asked for; where none is, the model's own. */
export function faultWanted({ fault, status }: Controls, ofModel: Fault | null): Fault | null {
  return fault ?? (status === undefined ? ofModel : 'status');
}

/**
 * A request body that is a JSON object.
 * @throws ValidationError for any other.
 */
export function parseObject(bytes: Buffer): Record<string, unknown> {
  if (!isUtf8(bytes)) throw invalid('', 'The body is not valid UTF-8.');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString());
  } catch {
    throw invalid('', 'The body is not valid JSON.');
  }
  if (!isRecord(value)) throw invalid('', 'The body must be a JSON object.');
  return value;
}
