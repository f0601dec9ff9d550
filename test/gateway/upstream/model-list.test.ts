import { describe, expect, test } from 'vitest';
import { MalformedAnswer } from '../../../src/gateway/upstream/dialect.ts';
import { modelListPath, readModelPage } from '../../../src/gateway/upstream/model-list.ts';

const NOTHING = { displayName: null, contextTokens: null, maxOutputTokens: null };
const read = (dialect: 'OPENAI' | 'ANTHROPIC' | 'GEMINI', page: unknown) =>
  readModelPage(dialect, JSON.stringify(page));

describe('a list of models', () => {
  test('of OpenAI says only names', () => {
    const page = { object: 'list', data: [{ id: 'gpt-4.1', object: 'model', created: 1, owned_by: 'openai' }] };
    expect(read('OPENAI', page)).toEqual({ models: [{ name: 'gpt-4.1', ...NOTHING }], next: null });
  });

  test('of OpenRouter, Groq, Mistral and Together says limits under names of their own', () => {
    const data = [
      { id: 'a/b', name: 'A: B', context_length: 128_000, top_provider: { max_completion_tokens: 16_384 } },
      { id: 'llama', context_window: 131_072, max_completion_tokens: 32_768 },
      { id: 'mistral', max_context_length: 32_768, name: 'mistral' },
    ];
    expect(read('OPENAI', { data }).models).toEqual([
      { name: 'a/b', displayName: 'A: B', contextTokens: 128_000, maxOutputTokens: 16_384 },
      { name: 'llama', displayName: null, contextTokens: 131_072, maxOutputTokens: 32_768 },
      { name: 'mistral', displayName: 'mistral', contextTokens: 32_768, maxOutputTokens: null },
    ]);
    // Together sends the list by itself.
    expect(read('OPENAI', [{ id: 'x', display_name: 'X' }]).models).toMatchObject([{ name: 'x', displayName: 'X' }]);
  });

  test('of Anthropic goes on where it says', () => {
    const data = [{ type: 'model', id: 'claude', display_name: 'Claude', created_at: '2026-01-01T00:00:00Z' }];
    expect(read('ANTHROPIC', { data, has_more: true, last_id: 'claude' })).toEqual({
      models: [{ ...NOTHING, name: 'claude', displayName: 'Claude' }],
      next: 'claude',
    });
    expect(read('ANTHROPIC', { data, has_more: false, last_id: 'claude' }).next).toBeNull();
    expect(modelListPath('ANTHROPIC', '/models', 'a&b')).toBe('/models?limit=1000&after_id=a%26b');
  });

  test('of Gemini holds what answers or embeds, with its limits', () => {
    const models = [
      {
        name: 'models/gemini',
        displayName: 'G',
        inputTokenLimit: 10,
        outputTokenLimit: 5,
        supportedGenerationMethods: ['generateContent'],
      },
      { name: 'models/embed', supportedGenerationMethods: ['embedContent'] },
      { name: 'models/imagen', supportedGenerationMethods: ['predict'] },
    ];
    expect(read('GEMINI', { models, nextPageToken: 't' })).toEqual({
      models: [
        { name: 'gemini', displayName: 'G', contextTokens: 10, maxOutputTokens: 5 },
        { name: 'embed', ...NOTHING },
      ],
      next: 't',
    });
    expect(read('GEMINI', {})).toEqual({ models: [], next: null });
    expect(modelListPath('GEMINI', '/models', null)).toBe('/models?pageSize=1000');
  });

  test('leaves out what could not be used, whatever a provider sends', () => {
    const data = [
      null,
      7,
      {},
      { id: 7 },
      { id: '' },
      { id: 'a b' },
      { id: 'x'.repeat(201) },
      { id: 'good', context_length: -1 },
    ];
    expect(read('OPENAI', { data }).models).toEqual([{ name: 'good', ...NOTHING }]);
  });

  test.each(['', '{}', '{"data":7}', '"x"', '<html>'])('is none: %s', (text) => {
    expect(() => readModelPage('OPENAI', text)).toThrow(MalformedAnswer);
  });
});
