import { invalid } from '../../../../platform/errors.ts';
import type { Turn } from '../ask.ts';
import type { Content, GenerateBody, Part } from './body.ts';

/**
 * The conversation as turns of their own: what functions gave comes before what else the user says.
 * @throws ValidationError where calls of functions and their responses do not belong together.
 */
export function turnsOf({ systemInstruction, contents }: GenerateBody): Turn[] {
  checkResponses(contents);
  const said = (systemInstruction?.parts ?? []).map(({ text }) => text).join('');
  const first: Turn[] = said ? [{ role: 'system', text: said, images: 0, calls: '' }] : [];
  return [...first, ...contents.flatMap(turnsOfContent)];
}

function turnsOfContent({ role, parts }: Content): Turn[] {
  const results = parts.flatMap(({ functionResponse }): Turn[] => {
    if (!functionResponse) return [];
    return [{ role: 'tool', text: textOfResponse(functionResponse.response), images: 0, calls: '' }];
  });
  const others = parts.filter((part) => !part.functionResponse);
  if (others.length === 0) return results;
  const calls = others.flatMap(({ functionCall }) => functionCall ?? []);
  const turn: Turn = {
    role: role === 'model' ? 'assistant' : 'user',
    text: others.map(({ text, thought }) => (thought ? '' : (text ?? ''))).join(''),
    images: others.filter(({ inlineData, fileData }) => inlineData ?? fileData).length,
    calls: calls.length > 0 ? JSON.stringify(calls) : '',
  };
  return [...results, turn];
}

/** What a function gave: as text where it is nothing but text, else as JSON. */
function textOfResponse(response: Record<string, unknown>): string {
  const values = Object.values(response);
  return values.length === 1 && typeof values[0] === 'string' ? values[0] : JSON.stringify(response);
}

/** The content behind a turn of calls has as many responses as that has calls, of functions of the same names. */
function checkResponses(contents: readonly Content[]): void {
  let called: readonly string[] = [];
  for (const [index, { parts }] of contents.entries()) {
    const answered = namesIn(parts, 'functionResponse');
    if (answered.toSorted().join() !== called.toSorted().join()) {
      const message =
        'Please ensure that the number of function response parts is equal to the number of function call parts of ' +
        'the function call turn.';
      throw invalid(`contents[${index}].parts`, message);
    }
    called = namesIn(parts, 'functionCall');
  }
}

function namesIn(parts: readonly Part[], member: 'functionCall' | 'functionResponse'): string[] {
  return parts.flatMap((part) => part[member]?.name ?? []);
}
