import { describe, expect, test } from 'vitest';
import { isMeaningful } from '../../../../src/gateway/upstream/chunk.ts';
import { parseChunk, readCompletion } from '../../../../src/gateway/upstream/openai/read-chunk.ts';

describe('chunks', () => {
  test('the role alone, an empty text and a usage chunk are no reason to answer yet', () => {
    for (const data of [
      '{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}',
      '{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}',
      '{"choices":[]}',
    ]) {
      const chunk = parseChunk(data);
      expect(chunk && isMeaningful(chunk)).toBe(false);
    }
  });

  test('content as a list of parts, and both names of reasoning, are read', () => {
    expect(parseChunk('{"choices":[{"delta":{"content":[{"type":"text","text":"a"},{"text":"b"}]}}]}')?.text).toBe(
      'ab',
    );
    expect(parseChunk('{"choices":[{"delta":{"reasoning":"r"}}]}')?.reasoning).toBe('r');
    expect(parseChunk('{"choices":[{"delta":{"reasoning_content":"r"}}]}')?.reasoning).toBe('r');
  });

  test('what is not a JSON object is not a chunk', () => {
    for (const data of ['', '{', '[]', '"x"', '1']) expect(parseChunk(data)).toBeNull();
  });

  test('Mistral’s thoughts are parts of the content, and are read as reasoning', () => {
    const content = [
      { type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] },
      { type: 'text', text: 'Yes.' },
    ];
    expect(parseChunk(JSON.stringify({ choices: [{ delta: { content } }] }))).toMatchObject({
      reasoning: 'Hm.',
      text: 'Yes.',
    });
  });

  test('of a delta and a message that come together, a stream’s event is read by the one, an answer by the other', () => {
    const choice = { index: 0, delta: { content: 'b' }, message: { content: 'ab' } };
    expect(parseChunk(JSON.stringify({ choices: [choice] }))?.text).toBe('b');
    expect(readCompletion({ choices: [choice] }).text).toBe('ab');
  });

  test('a call of the kind that there was before tools is a call', () => {
    const call = { function_call: { name: 'f', arguments: '{}' } };
    expect(parseChunk(JSON.stringify({ choices: [{ delta: call }] }))?.toolCalls).toEqual([
      { index: 0, id: null, name: 'f', arguments: '{}' },
    ]);
  });
});
