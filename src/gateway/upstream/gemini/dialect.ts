import type { Dialect } from '../dialect.ts';
import { GeminiEmbeddings } from './embeddings.ts';

export const geminiDialect: Dialect = {
  auth: { header: 'x-api-key', prefix: '' },
  headers: {},
  remoteImages: () => [],
  prepare: () => {
    throw new Error('follows');
  },
  prepareEmbeddings: (request) => new GeminiEmbeddings(request),
};
