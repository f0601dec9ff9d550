import { Ajv } from 'ajv';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { anthropicDialect } from '../../../../src/gateway/upstream/anthropic/dialect.ts';
import { parseBody } from '../../../../src/gateway/upstream/body.ts';
import { chatBodies } from '../chat-bodies.ts';
import { readSpec } from '../specs.ts';

const spec = readSpec('anthropic-openapi.yml.gz');

const models = fc.constantFrom(
  ...['claude-3-haiku-20240307', 'claude-3-7-sonnet-20250219', 'claude-sonnet-4-20250514', 'claude-opus-4-1'],
  ...['claude-haiku-4-5-20251001', 'claude-sonnet-4-6', 'claude-opus-4-8', 'claude-fable-5', 'something-else'],
);

test.skipIf(!spec)('every request is one that the provider’s own description allows', () => {
  const ajv = new Ajv({ strict: false, validateFormats: false, logger: false });
  ajv.addSchema(parse(spec ?? ''), 'spec');
  const validate = ajv.getSchema('spec#/components/schemas/CreateMessageParams');
  // A member that is not there is found out.
  expect(validate?.({ model: 'm', max_tokens: 1, messages: [{ role: 'user', content: 'Hi' }] })).toBe(true);
  expect(validate?.({ model: 'm', max_tokens: 1, messages: [], nonsense: 1 })).toBe(false);
  fc.assert(
    fc.property(chatBodies, models, fc.option(fc.integer({ min: 1, max: 64_000 })), (body, name, maxOutputTokens) => {
      const isStreamed = body.stream === true;
      const call = anthropicDialect.prepare({
        body: parseBody(Buffer.from(JSON.stringify(body))),
        kind: 'CUSTOM',
        model: { name, maxOutputTokens },
        isStreamed,
        wantsUsage: false,
        requestId: 'r',
        startedAt: 0,
        images: new Map(),
      });
      const written = JSON.parse(call.body.toString());
      if (!validate?.(written)) expect.fail(`${JSON.stringify(validate?.errors?.slice(0, 5))} in ${call.body}`);
      expect(written.stream === true).toBe(isStreamed);
      const { thinking, max_tokens: most } = written;
      if (thinking?.type === 'enabled') expect(thinking.budget_tokens).toBeLessThan(most);
      // What is lost is told.
      for (const lost of ['seed', 'logit_bias', 'logprobs', 'presence_penalty', 'store', 'unknown_extra'])
        if (body[lost] != null) expect(call.warnings.join()).toContain(`\`${lost}\``);
    }),
    { numRuns: 500 },
  );
});
