import { invalid } from '../../platform/errors.ts';
import { isRecord } from './body.ts';

/**
 * The arguments of a call in an earlier message, as the object that its JSON text is; empty ones are `{}`.
 * @param path where they stand in the body
 * @throws ValidationError when they are no object
 */
export function parseCallArguments(text: unknown, path: string): Record<string, unknown> {
  if (text == null || text === '') return {};
  let value: unknown = text;
  try {
    if (typeof text === 'string') value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (!isRecord(value)) throw invalid(path, 'must be a JSON object');
  return value;
}
