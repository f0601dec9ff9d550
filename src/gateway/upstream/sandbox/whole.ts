import type { Answer, Run } from './answer.ts';
import type { Client } from './client.ts';
import type { WholeChoice } from './dialect.ts';
import type { SandboxRequest } from './request.ts';
import { sendBody } from './send-body.ts';
import { countAnswer, placeOf, stepsOf } from './steps.ts';
import { type Tally, tallyUp } from './tally.ts';

/**
 * Answers with one JSON body, after the time that a stream of the same pace would take.
 * @returns the body as it should be, or null when the client left before it.
 */
export async function sendAnswer(answer: Answer, request: SandboxRequest, client: Client): Promise<Buffer | null> {
  const { controls, firstTokenMs } = request;
  const { body, tokens } = compose(answer, request);
  const perSecond = controls.tokensPerSecond ?? 0;
  const generationMs = perSecond > 0 ? (tokens * 1000) / perSecond : 0;
  if (!(await client.sleep(firstTokenMs + generationMs))) return null;

  await sendBody(body, shareBefore(answer, request), request, client);
  return body;
}

function compose(answer: Answer, { voice, controls, fault }: SandboxRequest): { body: Buffer; tokens: number } {
  const tally: Tally = { completion: 0, reasoning: 0 };
  const filterAt = fault === 'content-filter' ? placeOf(fault, answer, controls.faultAfter) : null;
  // A choice that the filter stops never learns its own reason.
  const choices = answer.choices.map(
    (): WholeChoice => ({
      text: '',
      reasoning: '',
      calls: [],
      finish: { reason: 'content_filter', stopSequence: null },
    }),
  );
  for (const step of stepsOf(answer, filterAt)) {
    const choice = choices[step.choice];
    if (!choice || tally.completion === filterAt) break;
    if (step.run) {
      tallyUp(tally, step.run, step.run.tokens.length);
      add(choice, step.run);
    } else {
      choice.finish = step.finish;
    }
  }
  return { body: Buffer.from(voice.writeWhole(answer, choices, tally)), tokens: tally.completion };
}

function add(choice: WholeChoice, run: Run): void {
  switch (run.type) {
    case 'text':
      choice.text += run.tokens.join('');
      break;
    case 'reasoning':
      choice.reasoning += run.tokens.join('');
      break;
    case 'tool-start':
      choice.calls.push({ id: run.id, name: run.tokens[0], arguments: '' });
      break;
    case 'tool-arguments': {
      const call = choice.calls[run.index];
      if (call) call.arguments += run.tokens.join('');
    }
  }
}

/** How much of an answer comes before its fault. */
function shareBefore(answer: Answer, { controls, fault }: SandboxRequest): number {
  const place = placeOf(fault, answer, controls.faultAfter);
  return place === null ? 1 : place / (countAnswer(answer) || 1);
}
