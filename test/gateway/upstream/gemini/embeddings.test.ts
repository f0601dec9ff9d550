import { expect, test } from 'vitest';
import { MalformedAnswer } from '../../../../src/gateway/upstream/dialect.ts';
import { parseEmbeddings } from '../../../../src/gateway/upstream/embeddings-body.ts';
import { GeminiEmbeddings } from '../../../../src/gateway/upstream/gemini/embeddings.ts';
import { ValidationError } from '../../../../src/platform/errors.ts';

const call = (body: object) =>
  new GeminiEmbeddings({
    body: parseEmbeddings(Buffer.from(JSON.stringify({ model: 'gemini/embed', ...body }))),
    kind: 'GOOGLE',
    model: { name: 'embed', maxOutputTokens: null },
    requestId: '0193',
    startedAt: 0,
  });

test('each text is one content, with the size that was asked for', () => {
  const { path, body, warnings } = call({ input: ['a', 'b'], dimensions: 2, user: 'me' });
  expect(path).toBe('/models/embed:batchEmbedContents');
  expect(JSON.parse(body.toString())).toEqual({
    requests: ['a', 'b'].map((text) => ({
      model: 'models/embed',
      content: { parts: [{ text }] },
      outputDimensionality: 2,
    })),
  });
  expect(warnings).toEqual(['`user` was left out: Gemini does not take it for embeddings.']);
});

test('tokens are refused, because they are not of Gemini’s vocabulary', () => {
  expect(() => call({ input: [1, 2] })).toThrow(ValidationError);
});

test('the answer is a list as OpenAI has it', () => {
  const { data, chunk } = call({ input: 'a' }).readAnswer(
    '{"embeddings":[{"values":[0.5,-1]}],"usageMetadata":{"promptTokenCount":3}}',
  );
  expect(JSON.parse(data)).toEqual({
    object: 'list',
    data: [{ object: 'embedding', index: 0, embedding: [0.5, -1] }],
    model: 'embed',
    usage: { prompt_tokens: 3, total_tokens: 3 },
  });
  expect(chunk.usage).toMatchObject({ inputTokens: 3, outputTokens: 0 });
});

test('base64 holds 32-bit floats, little end first; without a count the usage is not known', () => {
  const { data, chunk } = call({ input: 'a', encoding_format: 'base64' }).readAnswer(
    '{"embeddings":[{"values":[0.5,-1]}]}',
  );
  const [first] = (JSON.parse(data) as { data: { embedding: string }[] }).data;
  const bytes = Buffer.from(first?.embedding ?? '', 'base64');
  expect([bytes.readFloatLE(0), bytes.readFloatLE(4), bytes.length]).toEqual([0.5, -1, 8]);
  expect(chunk.usage).toBeNull();
});

test.each(['{"embeddings":[]}', '{"embeddings":[{"values":["x"]}]}', '{}', '[', '7'])('%s is no answer', (text) => {
  expect(() => call({ input: 'a' }).readAnswer(text)).toThrow(MalformedAnswer);
});

test('an error in the place of an answer is told as such', () => {
  expect(call({ input: 'a' }).readAnswer('{"error":{"code":503}}').chunk.error).toEqual({ code: 503 });
});
