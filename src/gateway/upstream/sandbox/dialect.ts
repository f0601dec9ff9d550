import type { IncomingHttpHeaders } from 'node:http';
import type { DialectName } from '../dialect.ts';
import type { Answer, Finish, Run } from './answer.ts';
import type { Ask } from './ask.ts';
import type { ErrorAnswer, Failure } from './failure.ts';
import type { Tally } from './tally.ts';

/** A wire format that the sandbox answers in: it reads native requests, and writes native answers and errors. */
export interface SandboxDialect {
  name: DialectName;
  /** What the ids of its answers begin with. */
  idPrefix: string;
  /**
   * @param body a JSON object.
   * @param modelId the model that is asked for, without the controls that may stand behind its name.
   * @throws ValidationError naming the first member that is wrong; ModelNotFoundError.
   */
  read(body: Record<string, unknown>, modelId: string, call: ChatCall): Reading;
  writeError(failure: Failure): ErrorAnswer;
}

/** What a chat request says beside its body. */
export interface ChatCall {
  dialect: SandboxDialect;
  headers: IncomingHttpHeaders;
  /** What the URL says of the answer; null where the body says it. */
  named: { model: string; isStream: boolean } | null;
}

/** A native request, understood. */
export interface Reading {
  ask: Ask;
  isStream: boolean;
  voice: Voice;
}

/** How the answer to one request is written. */
export interface Voice {
  /** @param tally what the answer has used so far; kept up to date by the caller, before each token. */
  openStream(answer: Answer, tally: Tally): EventWriter;
  /** The JSON text of an answer that is not streamed. */
  writeWhole(answer: Answer, choices: readonly WholeChoice[], tally: Tally): string;
}

/** Writes the events of one streamed answer, each as the text that is sent. Where nothing is to be sent it is empty. */
export interface EventWriter {
  /** Before the first token. */
  begin(): string[];
  /** One token of `run`. */
  token(choice: number, run: Run, token: string): string;
  /** A choice has ended. */
  finish(choice: number, finish: Finish): string;
  /** Every choice has ended. */
  end(): string;
  /** What says that nothing follows. */
  readonly done: string;
  /** An event whose data stops in the middle of its JSON. */
  malformed(): string;
  error(failure: Failure): string;
}

/** What a choice of a plain answer holds. */
export interface WholeChoice {
  text: string;
  reasoning: string;
  calls: { id: string; name: string; arguments: string }[];
  finish: Finish;
}
