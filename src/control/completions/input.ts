import { z } from 'zod';
import { CALLER_KEY, CALLER_KEY_RULE } from '../../gateway/replay/replay.ts';
import { POWER_LEVELS } from '../../gateway/routing/power-level.ts';
import { eachOnce, jsonObject } from '../schema/input-rules.ts';

const text = z.string();
const name = z.string().min(1).max(200);

const part = z.union([
  z.object({ text }),
  z.object({ imageUrl: z.object({ url: z.string().min(1), detail: z.enum(['AUTO', 'LOW', 'HIGH']).nullish() }) }),
]);

const message = z
  .object({
    role: z.enum(['SYSTEM', 'DEVELOPER', 'USER', 'ASSISTANT', 'TOOL']),
    content: text.nullish(),
    parts: z.array(part).min(1, 'must not be empty').nullish(),
    name: name.nullish(),
    toolCallId: name.nullish(),
    toolCalls: z.array(z.object({ id: name, name, arguments: text })).nullish(),
  })
  .superRefine((value, context) => {
    if (value.content != null && value.parts)
      context.addIssue({ code: 'custom', path: ['parts'], message: 'must not be given together with content' });
    if (value.content == null && !value.parts && !value.toolCalls?.length)
      context.addIssue({ code: 'custom', path: ['content'], message: 'must be given, or parts' });
    if (value.role === 'TOOL' && value.toolCallId == null)
      context.addIssue({ code: 'custom', path: ['toolCallId'], message: 'must say which tool call this answers' });
  });

const tag = z.object({
  name: z.string().regex(/^[^\p{Cc}]{1,64}$/u, 'must be 1 to 64 characters'),
  value: z.string().regex(/^[^\p{Cc}]{0,256}$/u, 'must be at most 256 characters'),
});

/** What a client asks for, in the field's words; see `to-openai.ts` for what becomes of it. */
export const completionInput = z.object({
  model: z.string().min(1, 'must not be empty').max(500, 'must be at most 500 characters').nullish(),
  messages: z.array(message).min(1, 'must have at least one message'),
  maxOutputTokens: z.int().min(1, 'must be 1 or more').nullish(),
  temperature: z.number().min(0, 'must be from 0 to 2').max(2, 'must be from 0 to 2').nullish(),
  topP: z.number().min(0, 'must be from 0 to 1').max(1, 'must be from 0 to 1').nullish(),
  stop: z.array(z.string().min(1)).max(16, 'must be at most 16 texts').nullish(),
  seed: z.int().nullish(),
  tools: z
    .array(z.object({ name, description: text.nullish(), parameters: jsonObject.nullish() }))
    .max(128, 'must be at most 128 tools')
    .nullish(),
  toolChoice: z.union([z.object({ mode: z.enum(['AUTO', 'NONE', 'REQUIRED']) }), z.object({ tool: name })]).nullish(),
  responseFormat: z
    .object({
      type: z.enum(['TEXT', 'JSON_OBJECT', 'JSON_SCHEMA']),
      name: name.nullish(),
      schema: jsonObject.nullish(),
      isStrict: z.boolean().nullish(),
    })
    .refine((value) => (value.type === 'JSON_SCHEMA') === (value.schema != null), {
      path: ['schema'],
      message: 'must be given with the type JSON_SCHEMA, and only with it',
    })
    .nullish(),
  reasoningEffort: z.enum(['NONE', 'MINIMAL', 'LOW', 'MEDIUM', 'HIGH', 'XHIGH']).nullish(),
  user: z.string().max(256).nullish(),
  tags: z
    .array(tag)
    .max(10, 'must be at most 10 tags')
    .superRefine(eachOnce(({ name }) => name, ['name']))
    .nullish(),
  powerLevel: z.enum(POWER_LEVELS).nullish(),
  sessionKey: z.string().min(1, 'must not be empty').max(200, 'must be at most 200 characters').nullish(),
  requestId: z.string().regex(CALLER_KEY, CALLER_KEY_RULE).nullish(),
  resumeFrom: z.int().min(0, 'must be 0 or more').nullish(),
  extra: jsonObject.nullish(),
});

export type CompletionInput = z.input<typeof completionInput>;
export type ParsedCompletion = z.output<typeof completionInput>;
