import { Ajv } from 'ajv';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseBody } from '../../../../src/gateway/upstream/body.ts';
import { geminiDialect } from '../../../../src/gateway/upstream/gemini/dialect.ts';
import { chatBodies } from '../chat-bodies.ts';
import { readSpec } from '../specs.ts';

const spec = readSpec('google-discovery.json.gz');

interface Described {
  $ref?: string;
  type?: string;
  enum?: string[];
  items?: Described;
  properties?: Record<string, Described>;
  additionalProperties?: Described;
}

/** What Google's discovery document says of a value, as JSON Schema. Members that it does not name are refused. */
function toJsonSchema(described: Described, known: ReadonlySet<string>): object {
  const { $ref, type, items, properties, additionalProperties } = described;
  // Some types are named there and described nowhere.
  if ($ref) return known.has($ref) ? { $ref: `#/$defs/${$ref}` } : {};
  if (type === 'any') return {};
  if (type === 'array') return { type, items: toJsonSchema(items ?? {}, known) };
  if (type !== 'object') return { type, ...(described.enum ? { enum: described.enum } : {}) };
  const free = additionalProperties ? toJsonSchema(additionalProperties, known) : false;
  const members = Object.entries(properties ?? {}).map(([name, one]) => [name, toJsonSchema(one, known)]);
  return { type, properties: Object.fromEntries(members), additionalProperties: properties || free ? free : true };
}

const models = fc.constantFrom(
  ...['gemini-1.5-pro', 'gemini-2.0-flash', 'gemini-2.5-pro', 'gemini-2.5-flash', 'gemini-3-pro-preview'],
  ...['gemini-3.1-flash', 'models/gemini-3-flash', 'tunedModels/mine-1', 'gemma-3-27b-it'],
);

test.skipIf(!spec)('every request is one that the provider’s own description allows', () => {
  const { schemas } = JSON.parse(spec ?? '{}') as { schemas: Record<string, Described> };
  const known = new Set(Object.keys(schemas));
  const $defs = Object.fromEntries(Object.entries(schemas).map(([name, one]) => [name, toJsonSchema(one, known)]));
  const validate = new Ajv({ strict: false }).compile({ $ref: '#/$defs/GenerateContentRequest', $defs });
  // A member that is not there is found out.
  expect(validate({ contents: [], nonsense: 1 })).toBe(false);
  const images = new Map([['https://example.com/picture.jpg', { mediaType: 'image/jpeg', data: 'AAAA' }]]);
  fc.assert(
    fc.property(chatBodies, models, (chat, name) => {
      const body = parseBody(Buffer.from(JSON.stringify(chat)));
      const isStreamed = chat.stream === true;
      expect(geminiDialect.remoteImages(body).every((url) => images.has(url))).toBe(true);
      const call = geminiDialect.prepare({
        body,
        kind: 'CUSTOM',
        model: { name, maxOutputTokens: null },
        isStreamed,
        wantsUsage: false,
        requestId: 'r',
        startedAt: 0,
        images,
      });
      const written = JSON.parse(call.body.toString());
      if (!validate(written)) expect.fail(`${JSON.stringify(validate.errors?.slice(0, 5))} in ${call.body}`);
      expect(call.path).toMatch(isStreamed ? /:streamGenerateContent\?alt=sse$/ : /:generateContent$/);
      const thinking = JSON.parse(call.body.toString()).generationConfig?.thinkingConfig ?? {};
      expect('thinkingLevel' in thinking && 'thinkingBudget' in thinking).toBe(false);
      for (const lost of ['logit_bias', 'store', 'metadata', 'verbosity', 'unknown_extra'])
        if (chat[lost] != null) expect(call.warnings.join()).toContain(`\`${lost}\``);
    }),
    { numRuns: 500 },
  );
});
