import { shorten } from '../../platform/errors.ts';

/** As many as the ledger keeps, and as fit into the headers of an answer. */
const MOST_WARNINGS = 20;
/** Members are named by clients, who may call them anything. */
const LONGEST_NAME = 60;

/** What a request loses on its way into a provider's words, told to the client in sentences. */
export class Notes {
  readonly warnings: string[] = [];
  readonly #provider: string;

  /** @param provider its name for people */
  constructor(provider: string) {
    this.#provider = provider;
  }

  leftOut(member: string, because = `${this.#provider} does not take it`): void {
    this.#add(`\`${shorten(member, LONGEST_NAME)}\` was left out: ${because}.`);
  }

  changed(member: string, how: string): void {
    this.#add(`\`${shorten(member, LONGEST_NAME)}\` was changed ${how}.`);
  }

  #add(warning: string): void {
    if (this.warnings.length < MOST_WARNINGS) this.warnings.push(warning);
  }
}
