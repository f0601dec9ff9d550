/** What a request loses on its way into a provider's words, told to the client. */
export class Notes {
  readonly warnings: string[] = [];

  leftOut(member: string, because = 'Anthropic does not take it'): void {
    this.warnings.push(`\`${member}\` was left out: ${because}.`);
  }

  changed(member: string, how: string): void {
    this.warnings.push(`\`${member}\` was changed: ${how}.`);
  }
}
