import type { Answer, FinishReason, Run } from './answer.ts';

const FINGERPRINT = 'fp_signalbox_sandbox';
const DESCRIPTION = `"service_tier":"default","system_fingerprint":"${FINGERPRINT}"`;

/** Tokens that an answer has used so far. */
export interface Tally {
  completion: number;
  /** Those of them that were reasoning. */
  reasoning: number;
}

export const DONE = 'data: [DONE]\n\n';

export function tallyUp(tally: Tally, run: Run): void {
  tally.completion += run.tokens.length;
  if (run.type === 'reasoning') tally.reasoning += run.tokens.length;
}

function usageJson(answer: Answer, tally: Tally): string {
  const { promptTokens, cachedTokens } = answer;
  return (
    `{"prompt_tokens":${promptTokens},"completion_tokens":${tally.completion},` +
    `"total_tokens":${promptTokens + tally.completion},` +
    `"prompt_tokens_details":{"cached_tokens":${cachedTokens},"audio_tokens":0},` +
    `"completion_tokens_details":{"reasoning_tokens":${tally.reasoning},"audio_tokens":0,` +
    '"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}'
  );
}

/** Writes the events of one streamed answer. What stays the same from event to event is put together once. */
export class EventWriter {
  private readonly head: string;
  private readonly tail: string;
  private readonly answer: Answer;

  /** @param withUsage whether events carry a `usage` member, null until the last one. */
  constructor(answer: Answer, withUsage: boolean) {
    this.answer = answer;
    this.head = `data: {${envelope(answer, 'chat.completion.chunk')},"choices":[`;
    this.tail = withUsage ? '],"usage":null}\n\n' : ']}\n\n';
  }

  /** The first event of a choice. */
  role(choice: number, callsTools: boolean): string {
    return this.event(choice, `"role":"assistant","content":${callsTools ? 'null' : '""'},"refusal":null`, null);
  }

  /** One event for one token of `run`. */
  token(choice: number, run: Run, token: string): string {
    return this.event(choice, deltaMembers(run, token), null);
  }

  finish(choice: number, reason: FinishReason): string {
    return this.event(choice, '', reason);
  }

  /** The last event, which belongs to no choice. */
  usage(tally: Tally): string {
    return `${this.head}],"usage":${usageJson(this.answer, tally)}}\n\n`;
  }

  /** An event whose data stops in the middle of its JSON. */
  malformed(): string {
    return `${this.head}{"index":0,"delta":{"content":" sandb\n\n`;
  }

  private event(choice: number, delta: string, reason: FinishReason | null): string {
    const finish = reason === null ? 'null' : `"${reason}"`;
    return `${this.head}{"index":${choice},"delta":{${delta}},"logprobs":null,"finish_reason":${finish}}${this.tail}`;
  }
}

/** A plain answer, read to its end. */
export function completionJson(answer: Answer, choices: readonly WholeChoice[], tally: Tally): string {
  const written = choices.map((choice, index) => choiceJson(choice, index)).join();
  return `{${envelope(answer, 'chat.completion')},"choices":[${written}],"usage":${usageJson(answer, tally)}}`;
}

/** What a choice of a plain answer holds. */
export interface WholeChoice {
  text: string;
  reasoning: string;
  calls: { id: string; name: string; arguments: string }[];
  finishReason: FinishReason;
}

function choiceJson(choice: WholeChoice, index: number): string {
  const reasoning = choice.reasoning ? `,"reasoning_content":${JSON.stringify(choice.reasoning)}` : '';
  const calls = choice.calls.map((call) => {
    const called = `{"name":"${call.name}","arguments":${JSON.stringify(call.arguments)}}`;
    return `{"id":"${call.id}","type":"function","function":${called}}`;
  });
  const content = calls.length > 0 ? `null,"tool_calls":[${calls.join()}]` : JSON.stringify(choice.text);
  const message = `{"role":"assistant","content":${content}${reasoning},"refusal":null,"annotations":[]}`;
  return `{"index":${index},"message":${message},"logprobs":null,"finish_reason":"${choice.finishReason}"}`;
}

function envelope(answer: Answer, object: string): string {
  const { id, created, model } = answer;
  return `"id":"${id}","object":"${object}","created":${created},"model":"${model}",${DESCRIPTION}`;
}

function deltaMembers(run: Run, token: string): string {
  switch (run.type) {
    case 'text':
      return `"content":${JSON.stringify(token)}`;
    case 'reasoning':
      return `"content":null,"reasoning_content":${JSON.stringify(token)}`;
    case 'tool-start': {
      const called = `{"name":"${token}","arguments":""}`;
      return `"tool_calls":[{"index":${run.index},"id":"${run.id}","type":"function","function":${called}}]`;
    }
    case 'tool-arguments':
      return `"tool_calls":[{"index":${run.index},"function":{"arguments":${JSON.stringify(token)}}}]`;
  }
}
