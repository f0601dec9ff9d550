import type { SeedResult } from './control/seed.ts';

/** What a start prints: where to go, and once, at the first start, how to get in. */
export function banner(url: string, seeded: SeedResult): string {
  const lines = [
    '',
    'Signalbox is running.',
    '',
    `  GraphiQL   ${url}/graphql`,
    `  OpenAI     ${url}/v1`,
    `  Health     ${url}/health`,
    '',
  ];
  if (seeded.adminPassword) {
    lines.push(
      'Shown only this once:',
      '',
      `  Admin      ${seeded.adminEmail}`,
      `  Password   ${seeded.adminPassword}`,
    );
  }
  if (seeded.apiKey) lines.push(`  API key    ${seeded.apiKey}`, '');
  lines.push(seeded.apiKey ? 'Try it:' : 'Try it with your API key:', '', `  ${curlLine(url, seeded.apiKey)}`, '', '');
  return lines.join('\n');
}

function curlLine(url: string, apiKey: string | null): string {
  const body = JSON.stringify({ model: 'default', messages: [{ role: 'user', content: 'Hello, Signalbox!' }] });
  return `curl ${url}/v1/chat/completions -H 'authorization: Bearer ${apiKey ?? '$SIGNALBOX_API_KEY'}' -H 'content-type: application/json' -d '${body}'`.replace(
    "'authorization: Bearer $SIGNALBOX_API_KEY'",
    '"authorization: Bearer $SIGNALBOX_API_KEY"',
  );
}
