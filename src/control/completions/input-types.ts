import { builder } from '../schema/builder.ts';
import { enumOf } from '../schema/enum-of.ts';
import { PowerLevelEnum } from '../schema/power-level.ts';

const MessageRole = enumOf('MessageRole', 'Who says a message.', {
  SYSTEM: 'Instructions for the model.',
  DEVELOPER: 'Instructions for the model, as newer models call them.',
  USER: 'The person.',
  ASSISTANT: 'The model, earlier.',
  TOOL: 'The result of a tool call.',
});

const ImageDetail = enumOf('ImageDetail', 'How closely the model looks at an image.', {
  AUTO: 'The model decides.',
  LOW: 'Coarsely, for fewer tokens.',
  HIGH: 'Closely, for more tokens.',
});

const ImageUrl = builder.inputType('ImageUrlInput', {
  description: 'An image.',
  fields: (t) => ({
    url: t.string({ required: true, description: 'An https address or a data URL.' }),
    detail: t.field({ type: ImageDetail, description: 'How closely to look. Default: the provider’s.' }),
  }),
});

const ContentPart = builder.inputType('ContentPartInput', {
  description: 'One piece of a message.',
  isOneOf: true,
  fields: (t) => ({
    text: t.string({ description: 'Text.' }),
    imageUrl: t.field({ type: ImageUrl, description: 'An image.' }),
  }),
});

const ToolCall = builder.inputType('ToolCallInput', {
  description: 'A tool call that the model asked for in an earlier answer.',
  fields: (t) => ({
    id: t.string({ required: true, description: 'Its id, as the answer had it.' }),
    name: t.string({ required: true, description: 'Name of the tool.' }),
    arguments: t.string({ required: true, description: 'JSON text, as the answer had it.' }),
  }),
});

const Message = builder.inputType('MessageInput', {
  description: 'One message of a conversation, with `content` or `parts`.',
  fields: (t) => ({
    role: t.field({ type: MessageRole, required: true, description: 'Who says it.' }),
    content: t.string({ description: 'What is said, if it is only text.' }),
    parts: t.field({ type: [ContentPart], description: 'What is said, in pieces: text and images.' }),
    name: t.string({ description: 'Tells participants of the same role apart.' }),
    toolCallId: t.string({ description: 'For TOOL: the tool call whose result this is.' }),
    toolCalls: t.field({ type: [ToolCall], description: 'For ASSISTANT: the tool calls it asked for.' }),
  }),
});

const Tool = builder.inputType('ToolInput', {
  description: 'A function that the model may ask to be called.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'Its name.' }),
    description: t.string({ description: 'What it does, for the model.' }),
    parameters: t.field({ type: 'JSON', description: 'JSON Schema of its arguments, an object. Default: none.' }),
  }),
});

const ToolChoiceMode = enumOf('ToolChoiceMode', 'Whether the model calls tools.', {
  AUTO: 'As it sees fit.',
  NONE: 'Never.',
  REQUIRED: 'At least one.',
});

const ToolChoice = builder.inputType('ToolChoiceInput', {
  description: 'Whether the model calls tools, or which one it must call.',
  isOneOf: true,
  fields: (t) => ({
    mode: t.field({ type: ToolChoiceMode, description: 'Whether it calls tools.' }),
    tool: t.string({ description: 'Name of the one it must call.' }),
  }),
});

const ResponseFormatType = enumOf('ResponseFormatType', 'What an answer looks like.', {
  TEXT: 'Free text.',
  JSON_OBJECT: 'Any JSON object.',
  JSON_SCHEMA: 'JSON that fits `schema`.',
});

const ResponseFormat = builder.inputType('ResponseFormatInput', {
  description: 'What the answer must look like.',
  fields: (t) => ({
    type: t.field({ type: ResponseFormatType, required: true, description: 'What kind.' }),
    name: t.string({ description: 'Name of the schema. Default: `answer`.' }),
    schema: t.field({ type: 'JSON', description: 'For JSON_SCHEMA: the JSON Schema, an object.' }),
    isStrict: t.boolean({ description: 'Whether the answer must fit exactly. Default: the provider’s.' }),
  }),
});

const ReasoningEffort = enumOf('ReasoningEffort', 'How hard a model thinks; providers know different ones.', {
  NONE: 'Not at all.',
  MINIMAL: 'As little as possible.',
  LOW: 'A little.',
  MEDIUM: 'Usual.',
  HIGH: 'Hard.',
  XHIGH: 'As hard as it can.',
});

const Tag = builder.inputType('TagInput', {
  description: 'A name with a value, which the request log keeps.',
  fields: (t) => ({
    name: t.string({ required: true, description: 'Up to 64 characters.' }),
    value: t.string({ required: true, description: 'Up to 256 characters.' }),
  }),
});

export const CompletionInputType = builder.inputType('CompletionInput', {
  description: 'A conversation to continue, and how. What is left out is up to the provider.',
  fields: (t) => ({
    model: t.string({
      description: 'A route, `<provider>/<model>`, or a model: `default`, `openai/gpt-4o-mini`. Default: `default`.',
    }),
    messages: t.field({ type: [Message], required: true, description: 'The conversation so far; at least one.' }),
    maxOutputTokens: t.int({ description: 'Most tokens of the answer, reasoning included.' }),
    temperature: t.float({ description: '0 to 2; higher is more random.' }),
    topP: t.float({ description: '0 to 1; the share of likely tokens to choose from.' }),
    stop: t.stringList({ description: 'Texts at which the answer ends, up to 16.' }),
    seed: t.int({ description: 'The same seed with the same input gives similar answers, where supported.' }),
    tools: t.field({ type: [Tool], description: 'Tools the model may ask for, up to 128.' }),
    toolChoice: t.field({ type: ToolChoice, description: 'Whether or which tools it calls.' }),
    responseFormat: t.field({ type: ResponseFormat, description: 'What the answer must look like.' }),
    reasoningEffort: t.field({ type: ReasoningEffort, description: 'How hard to think, for models that reason.' }),
    user: t.string({ description: 'Your name for your end user, passed to the provider. Up to 256 characters.' }),
    tags: t.field({ type: [Tag], description: 'Up to 10 names with values, for the request log.' }),
    powerLevel: t.field({
      type: PowerLevelEnum,
      description:
        'Which models a route that allows it chooses among, by their price. Default: your own setting (`mySettings`).',
    }),
    sessionKey: t.string({
      description:
        'What the requests of one session have in common, up to 200 characters: routes that split by session send them to the same target.',
    }),
    requestId: t.string({
      description:
        'Your own name for the request, 1 to 200 printable characters, for 24 hours. The same input under the same name again attaches to the same completion, while it runs and for 10 minutes after: there is never a second upstream call or charge. Needs a sign-in or an API key. Answers report an id of Signalbox’s as `requestId`.',
    }),
    resumeFrom: t.int({
      description:
        'With `requestId`, for the subscription `completion`: the first `seq` that you do not have yet. What came before is left out, and nothing is begun. Default: from the beginning.',
    }),
    extra: t.field({
      type: 'JSON',
      description:
        'An object of other members of an OpenAI chat body, passed on as they are: `{"parallel_tool_calls": false}`.',
    }),
  }),
});
