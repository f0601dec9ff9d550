import * as z from 'zod';
import { isBase64 } from '../base64.ts';
import { firstIssue } from '../issues.ts';
import { isSignature } from '../signature.ts';

/** Stand in for a signature where a call was not made by Gemini: https://ai.google.dev/gemini-api/docs/thought-signatures */
const UNSIGNED = ['skip_thought_signature_validator', 'context_engineering_is_the_way_to_go'];

const struct = z.record(z.string(), z.unknown());
const data = {
  text: z.string().optional(),
  inlineData: z
    .object({
      mimeType: z.string().regex(/^\w+\/[\w.+-]+$/),
      data: z.string().refine(isBase64, 'Base64 decoding failed'),
    })
    .optional(),
  fileData: z.object({ mimeType: z.string().optional(), fileUri: z.string() }).optional(),
  functionCall: z.object({ id: z.string().optional(), name: z.string(), args: struct.optional() }).optional(),
  functionResponse: z.object({ id: z.string().optional(), name: z.string(), response: struct }).optional(),
};
const DATA = Object.keys(data) as (keyof typeof data)[];

const part = z
  .object({
    ...data,
    thought: z.boolean().optional(),
    thoughtSignature: z
      .string()
      .refine((text) => UNSIGNED.includes(text) || isSignature(text), 'Thought signature is not valid')
      .optional(),
  })
  .refine(
    (one) => DATA.filter((member) => one[member] !== undefined).length === 1,
    `required oneof field 'data' must have one initialized field: ${DATA.join(', ')}`,
  );
const content = z.object({ role: z.enum(['user', 'model', 'function']).optional(), parts: z.array(part).min(1) });

const functionDeclaration = z
  .object({
    name: z.string().regex(/^[A-Za-z_][\w.:-]{0,127}$/),
    parameters: struct.optional(),
    parametersJsonSchema: struct.optional(),
  })
  .refine(
    (one) => !one.parameters || !one.parametersJsonSchema,
    'parameters and parametersJsonSchema exclude each other',
  );

const generationConfig = z
  .object({
    candidateCount: z.int().min(1).max(8).optional(),
    maxOutputTokens: z.int().min(1).optional(),
    stopSequences: z.array(z.string().min(1)).max(5).optional(),
    temperature: z.number().min(0).max(2).optional(),
    topP: z.number().min(0).max(1).optional(),
    topK: z.number().min(1).optional(),
    seed: z.int().optional(),
    presencePenalty: z.number().min(-2).max(2).optional(),
    frequencyPenalty: z.number().min(-2).max(2).optional(),
    responseMimeType: z.enum(['text/plain', 'application/json']).optional(),
    responseSchema: struct.optional(),
    responseJsonSchema: struct.optional(),
    thinkingConfig: z
      .object({
        includeThoughts: z.boolean().optional(),
        thinkingBudget: z.int().min(-1).max(32_768).optional(),
        thinkingLevel: z
          .string()
          .toUpperCase()
          .pipe(z.enum(['THINKING_LEVEL_UNSPECIFIED', 'MINIMAL', 'LOW', 'MEDIUM', 'HIGH']))
          .optional(),
      })
      .refine(
        (one) => one.thinkingBudget === undefined || one.thinkingLevel === undefined,
        'You can only set one of thinking budget and thinking level.',
      )
      .optional(),
  })
  .refine(
    (one) => !one.responseSchema || !one.responseJsonSchema,
    'responseSchema and responseJsonSchema exclude each other',
  )
  .refine(
    (one) => (!one.responseSchema && !one.responseJsonSchema) || one.responseMimeType === 'application/json',
    'a schema of the response needs the responseMimeType application/json',
  );

/** The members of a generateContent request that the sandbox acts on or checks; others are accepted unread. */
const generateBody = z.object({
  contents: z.array(content).min(1, 'contents is not specified'),
  systemInstruction: z.object({ parts: z.array(z.object({ text: z.string() })).min(1) }).optional(),
  tools: z.array(z.object({ functionDeclarations: z.array(functionDeclaration).optional() })).optional(),
  toolConfig: z
    .object({
      functionCallingConfig: z
        .object({
          mode: z.enum(['MODE_UNSPECIFIED', 'AUTO', 'ANY', 'NONE', 'VALIDATED']).optional(),
          allowedFunctionNames: z.array(z.string()).optional(),
        })
        .optional(),
    })
    .optional(),
  generationConfig: generationConfig.optional(),
});

export type GenerateBody = z.infer<typeof generateBody>;
export type Content = z.infer<typeof content>;
export type Part = z.infer<typeof part>;

/** @throws ValidationError naming the first member that is wrong. */
export function parseGenerateBody(body: unknown): GenerateBody {
  const parsed = generateBody.safeParse(body);
  if (!parsed.success) throw firstIssue(parsed.error);
  return parsed.data;
}
