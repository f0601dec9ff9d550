import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROVIDER_KEY_VARIABLES } from '../../../src/platform/settings.ts';
import { startServer, type TestServer } from '../../kit/server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.close());

interface Kind {
  kind: string;
  defaultBaseUrl: string | null;
  worksWithoutKey: boolean;
  environmentVariable: string | null;
  keyFormat: string | null;
  docsUrl: string | null;
}

const KINDS = `{ providerKinds { kind name defaultBaseUrl worksWithoutKey environmentVariable keyFormat docsUrl
  dialect choosesDialect authHeader refuses hasModelList hasEmbeddings } }`;

test('anybody learns what each kind of provider needs', async () => {
  const { data, errors } = await server.query<{ providerKinds: Kind[] }, object>(KINDS, {}, {});
  expect(errors).toEqual([]);
  const byKind = new Map(data.providerKinds.map((info) => [info.kind, info]));
  expect([...byKind.keys()]).toEqual([
    ...['OPENAI', 'ANTHROPIC', 'GOOGLE', 'OPENROUTER', 'GROQ', 'TOGETHER', 'MISTRAL', 'COHERE', 'HUGGINGFACE'],
    ...['CUSTOM', 'SANDBOX'],
  ]);
  expect(byKind.get('ANTHROPIC')).toEqual({
    kind: 'ANTHROPIC',
    name: 'Anthropic',
    defaultBaseUrl: 'https://api.anthropic.com/v1',
    worksWithoutKey: false,
    environmentVariable: 'ANTHROPIC_API_KEY',
    keyFormat: 'sk-ant-…',
    docsUrl: 'https://docs.anthropic.com',
    dialect: 'ANTHROPIC',
    choosesDialect: false,
    authHeader: 'x-api-key',
    refuses: [],
    hasModelList: true,
    hasEmbeddings: false,
  });
  expect(byKind.get('GROQ')).toMatchObject({
    authHeader: 'authorization',
    refuses: ['logprobs', 'top_logprobs', 'logit_bias'],
  });
  expect(byKind.get('CUSTOM')).toMatchObject({ defaultBaseUrl: null, worksWithoutKey: true, keyFormat: null });
});

test('names just the environment variables that the settings read', async () => {
  const { data } = await server.query<{ providerKinds: Kind[] }, object>(KINDS);
  const named = data.providerKinds.flatMap(({ environmentVariable }) => environmentVariable ?? []);
  expect(named.sort()).toEqual([...PROVIDER_KEY_VARIABLES].sort());
});
