import type { Dialect } from '../dialect.ts';

export const geminiDialect: Dialect = {
  auth: { header: 'x-api-key', prefix: '' },
  headers: {},
  remoteImages: () => [],
  prepare: () => {
    throw new Error('follows');
  },
};
