// What a proof tells, and how it ends.

export function say(text) {
  process.stdout.write(`${text}\n`);
}

/** The number behind an option such as `--rounds`. */
export function option(name, otherwise) {
  const index = process.argv.indexOf(name);
  if (index < 0) return otherwise;
  const value = Number(process.argv[index + 1]);
  if (Number.isInteger(value) && value > 0) return value;
  process.stderr.write(`${name} must be followed by a whole number above 0.\n`);
  process.exit(2);
}

/** Tells what was found, and sets the exit code. */
export function conclude(violations, doctor, proven = 'nothing was lost, and nothing is there twice') {
  say(`\n${doctor.text.trim()}\n`);
  for (const violation of violations.slice(0, 50)) say(`VIOLATION  ${violation}`);
  if (violations.length > 50) say(`VIOLATION  and ${violations.length - 50} more`);
  const isProven = violations.length === 0 && doctor.code === 0;
  say(isProven ? `Proven: ${proven}.` : 'NOT proven.');
  process.exitCode = isProven ? 0 : 1;
}

/** How many sightings had which outcome, in a phrase. */
export function count(sightings) {
  const counts = new Map();
  for (const { outcome } of sightings) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return [...counts].map(([outcome, number]) => `${number} ${outcome.toLowerCase()}`).join(', ') || 'none';
}
