import type { Answer, Finish, Run } from '../answer.ts';
import type { EventWriter, WholeChoice } from '../dialect.ts';
import type { Failure } from '../failure.ts';
import type { Tally } from '../tally.ts';
import { writeError } from './errors.ts';

const FINGERPRINT = 'fp_signalbox_sandbox';
const DESCRIPTION = `"service_tier":"default","system_fingerprint":"${FINGERPRINT}"`;

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

/** Writes the chunks of a streamed chat completion. What stays the same from chunk to chunk is put together once. */
export class ChunkWriter implements EventWriter {
  readonly done = 'data: [DONE]\n\n';
  private readonly head: string;
  private readonly tail: string;
  private readonly answer: Answer;
  private readonly tally: Tally;
  private readonly withUsage: boolean;

  /** @param withUsage whether chunks carry a `usage` member, null until the last one. */
  constructor(answer: Answer, tally: Tally, withUsage: boolean) {
    this.answer = answer;
    this.tally = tally;
    this.withUsage = withUsage;
    this.head = `data: {${envelope(answer, 'chat.completion.chunk')},"choices":[`;
    this.tail = withUsage ? '],"usage":null}\n\n' : ']}\n\n';
  }

  /** The role of each choice. */
  begin(): string[] {
    return this.answer.choices.map(({ callsTools }, choice) =>
      this.chunk(choice, `"role":"assistant","content":${callsTools ? 'null' : '""'},"refusal":null`, null),
    );
  }

  token(choice: number, run: Run, token: string): string {
    return this.chunk(choice, deltaMembers(run, token), null);
  }

  finish(choice: number, { reason }: Finish): string {
    return this.chunk(choice, '', reason);
  }

  /** The usage, which belongs to no choice. */
  end(): string {
    return this.withUsage ? `${this.head}],"usage":${usageJson(this.answer, this.tally)}}\n\n` : '';
  }

  malformed(): string {
    return `${this.head}{"index":0,"delta":{"content":" sandb\n\n`;
  }

  error(failure: Failure): string {
    return `data: ${writeError(failure).body}\n\n`;
  }

  private chunk(choice: number, delta: string, reason: Finish['reason'] | null): string {
    const finish = reason === null ? 'null' : `"${reason}"`;
    return `${this.head}{"index":${choice},"delta":{${delta}},"logprobs":null,"finish_reason":${finish}}${this.tail}`;
  }
}

/** A plain answer, read to its end. */
export function completionJson(answer: Answer, choices: readonly WholeChoice[], tally: Tally): string {
  const written = choices.map((choice, index) => choiceJson(choice, index)).join();
  return `{${envelope(answer, 'chat.completion')},"choices":[${written}],"usage":${usageJson(answer, tally)}}`;
}

function choiceJson(choice: WholeChoice, index: number): string {
  const reasoning = choice.reasoning ? `,"reasoning_content":${JSON.stringify(choice.reasoning)}` : '';
  const calls = choice.calls.map((call) => {
    const called = `{"name":"${call.name}","arguments":${JSON.stringify(call.arguments)}}`;
    return `{"id":"call_${call.id}","type":"function","function":${called}}`;
  });
  const content = calls.length > 0 ? `null,"tool_calls":[${calls.join()}]` : JSON.stringify(choice.text);
  const message = `{"role":"assistant","content":${content}${reasoning},"refusal":null,"annotations":[]}`;
  return `{"index":${index},"message":${message},"logprobs":null,"finish_reason":"${choice.finish.reason}"}`;
}

function envelope(answer: Answer, object: string): string {
  const { id, created, model } = answer;
  return `"id":"${id}","object":"${object}","created":${created},"model":${JSON.stringify(model)},${DESCRIPTION}`;
}

function deltaMembers(run: Run, token: string): string {
  switch (run.type) {
    case 'text':
      return `"content":${JSON.stringify(token)}`;
    case 'reasoning':
      return `"content":null,"reasoning_content":${JSON.stringify(token)}`;
    case 'tool-start': {
      const called = `{"name":"${token}","arguments":""}`;
      return `"tool_calls":[{"index":${run.index},"id":"call_${run.id}","type":"function","function":${called}}]`;
    }
    case 'tool-arguments':
      return `"tool_calls":[{"index":${run.index},"function":{"arguments":${JSON.stringify(token)}}}]`;
  }
}
