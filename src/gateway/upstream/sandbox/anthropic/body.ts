import * as z from 'zod';
import { isBase64 } from '../base64.ts';
import { firstIssue } from '../issues.ts';
import { isSignature } from '../signature.ts';

const text = z.object({ type: z.literal('text'), text: z.string().min(1, 'text content blocks must be non-empty') });
const source = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('base64'),
    media_type: z.enum(['image/jpeg', 'image/png', 'image/gif', 'image/webp']),
    data: z.string().refine(isBase64, 'Invalid base64 data'),
  }),
  z.object({ type: z.literal('url'), url: z.url() }),
]);
const image = z.object({ type: z.literal('image'), source });
const toolUse = z.object({
  type: z.literal('tool_use'),
  id: z.string().regex(/^[\w-]+$/, "String should match pattern '^[a-zA-Z0-9_-]+$'"),
  name: z.string(),
  input: z.record(z.string(), z.unknown()),
});
const toolResult = z.object({
  type: z.literal('tool_result'),
  tool_use_id: z.string(),
  content: z.union([z.string(), z.array(z.discriminatedUnion('type', [text, image]))]).optional(),
  is_error: z.boolean().optional(),
});
const thinking = z.object({
  type: z.literal('thinking'),
  thinking: z.string(),
  signature: z.string().refine(isSignature, 'Invalid `signature` in `thinking` block'),
});
const redacted = z.object({ type: z.literal('redacted_thinking'), data: z.string() });

const contentOf = <Block extends z.core.SomeType>(block: Block) =>
  z.union([z.string().min(1, 'messages must have non-empty content'), z.array(block).min(1)]);
const message = z.discriminatedUnion('role', [
  z.object({ role: z.literal('user'), content: contentOf(z.discriminatedUnion('type', [text, image, toolResult])) }),
  z.object({
    role: z.literal('assistant'),
    content: contentOf(z.discriminatedUnion('type', [text, toolUse, thinking, redacted])),
  }),
]);

const jsonSchema = z.looseObject({ type: z.literal('object') });
const tool = z.object({
  type: z.literal('custom').nullish(),
  name: z.string().regex(/^[\w-]{1,128}$/),
  input_schema: jsonSchema,
});
const parallel = { disable_parallel_tool_use: z.boolean().optional() };
const display = z.enum(['summarized', 'omitted']).nullish();

/** The members of a Messages request that the sandbox acts on or checks; others are accepted unread. */
const messagesBody = z
  .object({
    model: z.string(),
    max_tokens: z.int().min(1),
    messages: z.array(message).min(1),
    system: z.union([z.string(), z.array(text)]).optional(),
    stream: z.boolean().optional(),
    stop_sequences: z.array(z.string().regex(/\S/, 'each stop sequence must contain non-whitespace')).nullish(),
    temperature: z.number().min(0).max(1).optional(),
    top_p: z.number().min(0).max(1).optional(),
    top_k: z.int().min(0).optional(),
    tools: z.array(tool).optional(),
    tool_choice: z
      .discriminatedUnion('type', [
        z.object({ type: z.enum(['auto', 'any']), ...parallel }),
        z.object({ type: z.literal('tool'), name: z.string(), ...parallel }),
        z.object({ type: z.literal('none') }),
      ])
      .optional(),
    thinking: z
      .discriminatedUnion('type', [
        z.object({ type: z.literal('enabled'), budget_tokens: z.int().min(1024), display }),
        z.object({ type: z.literal('adaptive'), display }),
        z.object({ type: z.literal('disabled') }),
      ])
      .optional(),
    output_config: z
      .object({
        effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(),
        format: z.object({ type: z.literal('json_schema'), schema: z.record(z.string(), z.unknown()) }).nullish(),
      })
      .optional(),
    metadata: z.object({ user_id: z.string().max(256).nullish() }).optional(),
  })
  .superRefine(({ thinking, max_tokens, temperature, tool_choice }, context) => {
    const refuse = (path: string, says: string) => context.addIssue({ code: 'custom', path: [path], message: says });
    if (thinking?.type !== 'enabled') return;
    if (thinking.budget_tokens >= max_tokens) refuse('max_tokens', 'must be greater than `thinking.budget_tokens`');
    if (temperature !== undefined && temperature !== 1) refuse('temperature', 'may only be 1 when thinking is enabled');
    if (tool_choice?.type === 'any' || tool_choice?.type === 'tool') {
      refuse('tool_choice', 'Thinking may not be enabled when tool_choice forces tool use.');
    }
  });

export type MessagesBody = z.infer<typeof messagesBody>;
export type Message = z.infer<typeof message>;
export type Block = Exclude<Message['content'], string>[number];

/** @throws ValidationError naming the first member that is wrong. */
export function parseMessagesBody(body: unknown): MessagesBody {
  const parsed = messagesBody.safeParse(body);
  if (!parsed.success) throw firstIssue(parsed.error);
  return parsed.data;
}
