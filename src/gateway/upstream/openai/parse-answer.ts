import { isRecord } from '../body.ts';
import { MalformedAnswer } from '../dialect.ts';

/**
 * An answer that was not streamed, as the object that it is.
 * @throws MalformedAnswer when it is none
 */
export function parseAnswer(text: string): Record<string, unknown> {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new MalformedAnswer('sent an answer that is not JSON');
  }
  if (!isRecord(answer)) throw new MalformedAnswer('sent an answer that is not a JSON object');
  return answer;
}
