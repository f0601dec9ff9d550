import * as z from 'zod';
import { firstIssue } from '../issues.ts';

const part = z
  .object({ type: z.string(), text: z.string().optional(), image_url: z.object({ url: z.string() }).optional() })
  .refine((value) => value.type !== 'text' || value.text !== undefined, 'a text part needs its text')
  .refine((value) => value.type !== 'image_url' || value.image_url, 'an image_url part needs its image_url');
const content = z.union([z.string(), z.array(part).min(1)], 'expected a string or an array of content parts');
const toolCall = z.object({ id: z.string(), function: z.object({ name: z.string(), arguments: z.string() }) });
const message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer', 'user']), content }),
  z
    .object({ role: z.literal('assistant'), content: content.nullish(), tool_calls: z.array(toolCall).nullish() })
    .refine((value) => value.content != null || value.tool_calls?.length, 'expected content or tool_calls'),
  z.object({ role: z.literal('tool'), content, tool_call_id: z.string() }),
]);
const jsonSchema = z.record(z.string(), z.unknown());
const tool = z.object({
  type: z.literal('function'),
  function: z.object({ name: z.string().regex(/^[\w-]{1,64}$/), parameters: jsonSchema.nullish() }),
});
const stop = z.string().min(1).max(1000);

/** The members of a chat completion request that the sandbox acts on or checks; others are accepted unread. */
const chatBody = z
  .object({
    model: z.string(),
    messages: z.array(message).min(1),
    stream: z.boolean().nullish(),
    stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
    max_tokens: z.int().min(1).nullish(),
    max_completion_tokens: z.int().min(1).nullish(),
    n: z.int().min(1).max(8).nullish(),
    stop: z.union([stop, z.array(stop).max(4)], 'expected up to 4 strings of 1 to 1000 characters').nullish(),
    seed: z.int().nullish(),
    temperature: z.number().min(0).max(2).nullish(),
    top_p: z.number().min(0).max(1).nullish(),
    presence_penalty: z.number().min(-2).max(2).nullish(),
    frequency_penalty: z.number().min(-2).max(2).nullish(),
    reasoning_effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh']).nullish(),
    tools: z.array(tool).max(128).nullish(),
    tool_choice: z
      .union(
        [
          z.enum(['none', 'auto', 'required']),
          z.object({ type: z.literal('function'), function: z.object({ name: z.string() }) }),
        ],
        'expected none, auto, required or a named function',
      )
      .nullish(),
    parallel_tool_calls: z.boolean().nullish(),
    response_format: z
      .discriminatedUnion('type', [
        z.object({ type: z.enum(['text', 'json_object']) }),
        z.object({
          type: z.literal('json_schema'),
          json_schema: z.object({ name: z.string(), schema: jsonSchema.nullish() }),
        }),
      ])
      .nullish(),
  })
  .refine((body) => !body.stream_options || body.stream, {
    path: ['stream_options'],
    message: 'is only allowed when stream is true',
  });

export type ChatBody = z.infer<typeof chatBody>;
export type ChatMessage = z.infer<typeof message>;
export type ChatTool = z.infer<typeof tool>;

/** @throws ValidationError naming the first member that is wrong. */
export function parseChatBody(body: unknown): ChatBody {
  const parsed = chatBody.safeParse(body);
  if (!parsed.success) throw firstIssue(parsed.error);
  return parsed.data;
}
