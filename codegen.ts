import type { CodegenConfig } from '@graphql-codegen/cli';

/** Types the operations in tests, written as graphql(`…`), by the checked-in schema. */
const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['test/**/*.ts', '!test/generated/**'],
  generates: {
    'test/generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        documentMode: 'string',
        enumsAsTypes: true,
        importExtension: '.ts',
        useTypeImports: true,
        scalars: { DateTime: 'string', USD: 'string', BigInt: 'string', JSON: 'unknown' },
      },
    },
  },
};

export default config;
