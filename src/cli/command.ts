/** A command of the command line: a file of its own. */
export interface Command {
  /** What it does, in a line of the usage text. */
  summary: string;
  /** What `--help` prints below the usage line. */
  help: string;
  /**
   * Does it, and tells what it does on the standard output.
   * @returns the exit code
   * @throws StartError, SettingsError for what is not a bug: the message is told
   */
  run(): Promise<number>;
}
