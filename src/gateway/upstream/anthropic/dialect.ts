import { invalid } from '../../../platform/errors.ts';
import type { Dialect } from '../dialect.ts';

export const anthropicDialect: Dialect = {
  auth: { header: 'x-api-key', prefix: '' },
  headers: {},
  remoteImages: () => [],
  prepare: () => {
    throw new Error('follows');
  },
  prepareEmbeddings: () => {
    throw invalid('model', 'must be another one: Anthropic has no embeddings');
  },
};
