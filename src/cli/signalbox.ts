import { SettingsError } from '../platform/settings.ts';
import { StartError } from '../platform/start-error.ts';
import type { Command } from './command.ts';

/** Each by the words that name it. Loaded when it is asked for. */
const COMMANDS: Readonly<Record<string, () => Promise<{ command: Command }>>> = {
  doctor: () => import('./doctor.ts'),
  'keys rotate': () => import('./keys-rotate.ts'),
};

/**
 * Runs the command that the arguments name.
 * @returns the exit code: 0 done, 1 not done, 2 no such command
 */
export async function run(args: readonly string[]): Promise<number> {
  const words = args.filter((arg) => arg !== '--help' && arg !== '-h');
  const name = words.join(' ');
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    const isAsked = words.length === 0 && args.length > 0;
    const text = await usage();
    if (isAsked) console.log(text);
    else console.error(words.length > 0 ? `There is no command "${name}".\n\n${text}` : text);
    return isAsked ? 0 : 2;
  }
  const { command } = await load();
  if (words.length < args.length) {
    console.log(`Usage: signalbox ${name}\n\n${command.help}`);
    return 0;
  }
  try {
    return await command.run();
  } catch (error) {
    if (!(error instanceof StartError || error instanceof SettingsError)) throw error;
    console.error(error.message);
    return 1;
  }
}

async function usage(): Promise<string> {
  const entries = Object.entries(COMMANDS).map(async ([name, load]) => [name, (await load()).command.summary]);
  const lines = (await Promise.all(entries)).map(([name, summary]) => `  ${name?.padEnd(16)}${summary}`);
  return [
    'Usage: signalbox <command> [--help]',
    '',
    ...lines,
    '',
    'Settings come from the environment, as for `npm start`.',
  ].join('\n');
}
