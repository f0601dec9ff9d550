import { isUtf8 } from 'node:buffer';
import { invalid } from '../../../platform/errors.ts';
import { isRecord } from '../body.ts';
import { type Controls, parseControls } from './controls.ts';
import type { ChatCall, Reading, SandboxDialect } from './dialect.ts';
import { digestOf } from './digest.ts';
import type { Fault } from './faults.ts';

const SLOW_FIRST_TOKEN_MS = 30_000;

/** A checked chat request. */
export interface SandboxRequest extends Reading {
  dialect: SandboxDialect;
  controls: Controls;
  /** What goes wrong: as asked for, or as the model has it. */
  fault: Fault | null;
  /** Wait before the first token. */
  firstTokenMs: number;
  /** Names the request's content; everything about the answer follows from it. */
  digest: string;
}

/**
 * Reads and checks a chat request. Its controls are in the header `x-sandbox` and in the member `sandbox` of the body.
 * @throws ValidationError naming the first member that is wrong; ModelNotFoundError.
 */
export function parseRequest(bytes: Buffer, call: ChatCall): SandboxRequest {
  const body = parseObject(bytes);
  const digest = digestOf(call.named ? { ...body, model: call.named.model } : body);
  const { dialect } = call;
  const { ask, isStream, voice } = dialect.read(body, call);
  const controls = parseControls(body.sandbox, call.headers['x-sandbox']?.toString());
  const fault = controls.fault ?? (controls.status === undefined ? ask.model.fault : 'status');
  const firstTokenMs = controls.firstTokenMs ?? (fault === 'slow-first-token' ? SLOW_FIRST_TOKEN_MS : 0);
  return { dialect, ask, isStream, voice, controls, fault, firstTokenMs, digest };
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
