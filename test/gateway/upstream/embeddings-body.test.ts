import { expect, test } from 'vitest';
import { inputsOf, parseEmbeddings, promptOfEmbeddings } from '../../../src/gateway/upstream/embeddings-body.ts';
import { ValidationError } from '../../../src/platform/errors.ts';

const parse = (body: unknown) => parseEmbeddings(Buffer.from(JSON.stringify(body))).embeddings;

test.each<[string, unknown, number]>([
  ['a text', 'Hello', 1],
  ['a list of texts', ['Hello', 'there'], 2],
  ['tokens', [9906, 0], 1],
  ['a list of lists of tokens', [[9906], [0, 1]], 2],
])('%s is an input', (_what, input, count) => {
  expect(inputsOf(parse({ model: 'm', input }))).toHaveLength(count);
});

test.each<[string, string, object]>([
  ['no model', 'model', { input: 'a' }],
  ['a model that is no text', 'model', { model: 7, input: 'a' }],
  ['no input', 'input', { model: 'm' }],
  ['an empty text', 'input', { model: 'm', input: '' }],
  ['an empty list', 'input', { model: 'm', input: [] }],
  ['a list with an empty text', 'input', { model: 'm', input: ['a', ''] }],
  ['texts among tokens', 'input', { model: 'm', input: ['a', 1] }],
  ['tokens that are no whole numbers', 'input', { model: 'm', input: [1.5] }],
  ['too many texts', 'input', { model: 'm', input: Array(2_049).fill('a') }],
  ['another encoding', 'encoding_format', { model: 'm', input: 'a', encoding_format: 'hex' }],
  ['dimensions below 1', 'dimensions', { model: 'm', input: 'a', dimensions: 0 }],
])('%s is refused, naming the member', (_what, path, body) => {
  let refusal: unknown;
  try {
    parse(body);
  } catch (error) {
    refusal = error;
  }
  expect(refusal).toBeInstanceOf(ValidationError);
  expect((refusal as ValidationError).issues).toMatchObject([{ path }]);
});

test('tokens are counted as they are, and texts are kept to be counted', () => {
  expect(promptOfEmbeddings(parse({ model: 'm', input: [[1, 2], [3]] }))).toEqual({ text: '', tokens: 3 });
  expect(promptOfEmbeddings(parse({ model: 'm', input: ['a', 'b'] }))).toEqual({ text: 'a b', tokens: 0 });
});
