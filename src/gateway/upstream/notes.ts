/** What a request loses on its way into a provider's words, told to the client in sentences. */
export class Notes {
  readonly warnings: string[] = [];
  readonly #provider: string;

  /** @param provider its name for people */
  constructor(provider: string) {
    this.#provider = provider;
  }

  leftOut(member: string, because = `${this.#provider} does not take it`): void {
    this.warnings.push(`\`${member}\` was left out: ${because}.`);
  }

  changed(member: string, how: string): void {
    this.warnings.push(`\`${member}\` was changed ${how}.`);
  }
}
