import type { SeedResult } from './control/seed.ts';

/** What a start prints: where to go, and once, at the first start, how to get in. */
export function banner(url: string, seeded: SeedResult): string {
  return [
    '',
    'Signalbox is running.',
    '',
    `  GraphiQL   ${url}/graphql`,
    `  OpenAI     ${url}/v1`,
    `  Health     ${url}/health`,
    credentials(seeded),
    seeded.apiKey ? 'Try it:' : 'Try it with your API key:',
    '',
    `  ${curlLine(url, seeded.apiKey)}`,
    '',
    '',
  ].join('\n');
}

/** The sign-in and the key that the first start made; empty at every other one. What the settings gave is not repeated. */
export function credentials({ adminEmail, adminPassword, apiKey }: SeedResult): string {
  if (!adminPassword && !apiKey) return '';
  return [
    '',
    'Shown only this once:',
    '',
    `  Admin      ${adminEmail}`,
    `  Password   ${adminPassword ?? 'as ADMIN_PASSWORD says'}`,
    `  API key    ${apiKey ?? 'as BOOTSTRAP_API_KEY says'}`,
    '',
  ].join('\n');
}

function curlLine(url: string, apiKey: string | null): string {
  const body = JSON.stringify({ model: 'default', messages: [{ role: 'user', content: 'Hello, Signalbox!' }] });
  // Double quotes where the shell has to put the key in.
  const authorization = apiKey ? `'authorization: Bearer ${apiKey}'` : '"authorization: Bearer $SIGNALBOX_API_KEY"';
  return `curl ${url}/v1/chat/completions -H ${authorization} -H 'content-type: application/json' -d '${body}'`;
}
