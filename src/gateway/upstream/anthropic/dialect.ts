import type { Dialect } from '../dialect.ts';

export const anthropicDialect: Dialect = {
  auth: { header: 'x-api-key', prefix: '' },
  headers: {},
  remoteImages: () => [],
  prepare: () => {
    throw new Error('follows');
  },
};
