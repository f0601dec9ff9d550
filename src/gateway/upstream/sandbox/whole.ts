import type { Answer, Run } from './answer.ts';
import type { Client } from './client.ts';
import { errorJson, serverError } from './errors.ts';
import type { SandboxRequest } from './request.ts';
import { countAnswer, placeOf, stepsOf } from './steps.ts';
import { completionJson, type Tally, tallyUp, type WholeChoice } from './wire.ts';

/**
 * Answers with one JSON body, after the time that a stream of the same pace would take.
 * @returns the body as it should be, or null when the client left before it.
 */
export async function sendAnswer(answer: Answer, request: SandboxRequest, client: Client): Promise<Buffer | null> {
  const { controls, fault, firstTokenMs } = request;
  const { body, tokens } = compose(answer, request);
  const perSecond = controls.tokensPerSecond ?? 0;
  const generationMs = perSecond > 0 ? (tokens * 1000) / perSecond : 0;
  if (!(await client.sleep(firstTokenMs + generationMs))) return null;

  switch (fault) {
    case 'error-event':
    case 'mid-error':
      client.answer(200, errorJson(serverError('The sandbox failed, as asked.')), {}, 'faulted');
      break;
    case 'malformed':
      client.answer(200, body.subarray(0, -1), {}, 'faulted');
      break;
    case 'end':
      client.answer(200, firstPart(body, answer, request), {}, 'faulted');
      break;
    case 'cut':
    case 'stall':
      client.begin({ 'content-type': 'application/json', 'content-length': body.length }, false);
      if ((await client.flush(firstPart(body, answer, request))) && fault === 'cut') client.cut();
      break;
    default:
      client.answer(200, body);
  }
  return body;
}

function compose(answer: Answer, { controls, fault }: SandboxRequest): { body: Buffer; tokens: number } {
  const tally: Tally = { completion: 0, reasoning: 0 };
  const filterAt = fault === 'content-filter' ? placeOf(fault, answer, controls.faultAfter) : null;
  // A choice that the filter stops never learns its own reason.
  const choices = answer.choices.map(
    (): WholeChoice => ({ text: '', reasoning: '', calls: [], finishReason: 'content_filter' }),
  );
  for (const step of stepsOf(answer, filterAt)) {
    const choice = choices[step.choice];
    if (!choice || tally.completion === filterAt) break;
    if (step.run) {
      tallyUp(tally, step.run);
      add(choice, step.run);
    } else {
      choice.finishReason = step.finishReason;
    }
  }
  return { body: Buffer.from(completionJson(answer, choices, tally)), tokens: tally.completion };
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

/** As much of the body as a fault in the middle lets through. */
function firstPart(body: Buffer, answer: Answer, { controls, fault }: SandboxRequest): Buffer {
  const share = (placeOf(fault, answer, controls.faultAfter) ?? 0) / (countAnswer(answer) || 1);
  return body.subarray(0, Math.min(body.length - 1, Math.floor(body.length * share)));
}
