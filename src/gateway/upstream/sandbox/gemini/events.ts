import type { Answer, Finish, Run } from '../answer.ts';
import type { EventWriter } from '../dialect.ts';
import type { Failure } from '../failure.ts';
import { signatureOf } from '../signature.ts';
import type { Tally } from '../tally.ts';
import { writeError } from './errors.ts';
import { callPart, endOf, type Part, signed, usageOf } from './response.ts';

/** What is kept of a candidate between its chunks. */
interface Candidate {
  /** A call whose arguments are not complete yet: calls come whole. */
  call: { name: string; arguments: string } | null;
  /** Of reasoning whose signature was not sent yet. */
  signature: string | null;
}

/** Writes the chunks of a streamed GenerateContentResponse. Each has the usage so far, and nothing marks the last. */
export class CandidateChunks implements EventWriter {
  readonly done = '';
  private readonly answer: Answer;
  private readonly tally: Tally;
  private readonly showsThoughts: boolean;
  private readonly candidates: Candidate[];

  constructor(answer: Answer, tally: Tally, showsThoughts: boolean) {
    this.answer = answer;
    this.tally = tally;
    this.showsThoughts = showsThoughts;
    this.candidates = answer.choices.map(() => ({ call: null, signature: null }));
  }

  begin(): string[] {
    return [];
  }

  token(choice: number, run: Run, token: string): string {
    const candidate = this.candidates[choice];
    if (!candidate) return '';
    switch (run.type) {
      case 'reasoning':
        candidate.signature = signatureOf(this.answer.choices[choice]?.digest ?? '');
        return this.showsThoughts ? this.chunk(choice, [{ text: token, thought: true }]) : '';
      case 'text':
        return this.chunk(choice, [{ text: token }]);
      case 'tool-start': {
        const before = takeCall(candidate);
        candidate.call = { name: token, arguments: '' };
        return before ? this.chunk(choice, [before]) : '';
      }
      case 'tool-arguments':
        if (candidate.call) candidate.call.arguments += token;
        return '';
    }
  }

  finish(choice: number, finish: Finish): string {
    const candidate = this.candidates[choice];
    const call = candidate ? takeCall(candidate) : null;
    const last = call ?? signed({ text: '' }, candidate?.signature ?? null);
    return this.chunk(choice, [last], endOf(finish));
  }

  end(): string {
    return '';
  }

  malformed(): string {
    return 'data: {"candidates": [{"content": {"parts": [{"text": " sandb\r\n\r\n';
  }

  error(failure: Failure): string {
    return `data: ${writeError(failure).body}\r\n\r\n`;
  }

  private chunk(index: number, parts: readonly Part[], end: object = {}): string {
    const { answer, tally } = this;
    const data = {
      candidates: [{ content: { parts, role: 'model' }, ...end, index }],
      usageMetadata: usageOf(answer, tally),
      modelVersion: answer.model,
      responseId: answer.id,
    };
    return `data: ${JSON.stringify(data)}\r\n\r\n`;
  }
}

/** The part of the call that was kept, if it is complete; the first one after reasoning carries its signature. */
function takeCall(candidate: Candidate): Part | null {
  const part = candidate.call && callPart(candidate.call);
  candidate.call = null;
  if (!part) return null;
  const { signature } = candidate;
  candidate.signature = null;
  return signed(part, signature);
}
