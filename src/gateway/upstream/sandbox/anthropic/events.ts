import type { Answer, Finish, Run } from '../answer.ts';
import type { EventWriter } from '../dialect.ts';
import type { Failure } from '../failure.ts';
import { signatureOf } from '../signature.ts';
import type { Tally } from '../tally.ts';
import { writeError } from './errors.ts';
import { endOf, messageHead, outputUsage, promptUsage, wholePromptUsage } from './message.ts';

/** A content block that is not closed yet. */
type OpenBlock = 'none' | 'thinking' | 'text' | 'tool_use';

/** Writes the events of a streamed Message: https://docs.anthropic.com/en/docs/build-with-claude/streaming */
export class MessageEvents implements EventWriter {
  readonly done = event('message_stop', {});
  private readonly answer: Answer;
  private readonly tally: Tally;
  private readonly hidesThinking: boolean;
  private open: OpenBlock = 'none';
  private index = -1;
  private ended: Finish | null = null;

  constructor(answer: Answer, tally: Tally, hidesThinking: boolean) {
    this.answer = answer;
    this.tally = tally;
    this.hidesThinking = hidesThinking;
  }

  begin(): string[] {
    const unfinished = { content: [], stop_reason: null, stop_sequence: null, stop_details: null };
    // What is said here of the output is a first guess; `message_delta` has the count.
    const usage = { ...wholePromptUsage(this.answer), output_tokens: 1, service_tier: 'standard' };
    return [event('message_start', { message: { ...messageHead(this.answer), ...unfinished, usage } })];
  }

  token(_choice: number, run: Run, token: string): string {
    switch (run.type) {
      case 'reasoning': {
        const start = this.open === 'thinking' ? '' : this.start('thinking', { thinking: '', signature: '' });
        return this.hidesThinking ? start : start + this.delta('thinking_delta', 'thinking', token);
      }
      case 'text': {
        const start = this.open === 'text' ? '' : this.start('text', { text: '' });
        return start + this.delta('text_delta', 'text', token);
      }
      case 'tool-start':
        return (
          this.start('tool_use', { id: `toolu_${run.id}`, name: token, input: {} }) +
          this.delta('input_json_delta', 'partial_json', '')
        );
      case 'tool-arguments':
        return this.delta('input_json_delta', 'partial_json', token);
    }
  }

  finish(_choice: number, finish: Finish): string {
    this.ended = finish;
    return this.stop();
  }

  end(): string {
    const usage = { ...promptUsage(this.answer), ...outputUsage(this.tally) };
    return event('message_delta', { delta: this.ended && endOf(this.ended), usage });
  }

  malformed(): string {
    return `event: content_block_delta\ndata: {"type":"content_block_delta","index":${Math.max(0, this.index)},"del\n\n`;
  }

  error(failure: Failure): string {
    return `event: error\ndata: ${writeError(failure).body}\n\n`;
  }

  /** Closes the block before, and opens one. A ping follows the first, as with the real one. */
  private start(type: Exclude<OpenBlock, 'none'>, members: object): string {
    const before = this.stop();
    this.open = type;
    this.index++;
    const started = event('content_block_start', { index: this.index, content_block: { type, ...members } });
    return before + started + (this.index === 0 ? event('ping', {}) : '');
  }

  private stop(): string {
    const { open, index } = this;
    if (open === 'none') return '';
    const digest = this.answer.choices[0]?.digest ?? '';
    const signed = open === 'thinking' ? this.delta('signature_delta', 'signature', signatureOf(digest)) : '';
    this.open = 'none';
    return signed + event('content_block_stop', { index });
  }

  /** Put together by hand, as there is one for each token. */
  private delta(type: string, member: string, text: string): string {
    return (
      `event: content_block_delta\ndata: {"type":"content_block_delta","index":${this.index},` +
      `"delta":{"type":"${type}","${member}":${JSON.stringify(text)}}}\n\n`
    );
  }
}

function event(type: string, members: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}\n\n`;
}
