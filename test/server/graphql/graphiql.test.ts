import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type TestServer } from '../../kit/server.ts';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

describe.skipIf(!executablePath)('GraphiQL in a browser', () => {
  let server: TestServer;
  let browser: Browser;
  let page: Page;
  const problems: string[] = [];

  beforeAll(async () => {
    server = await startServer();
    browser = await chromium.launch({ executablePath: executablePath as string, args: ['--no-sandbox'] });
    page = await browser.newPage();
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('request', (request) => {
      if (!/^(blob|data|https?:\/\/127\.0\.0\.1)/.test(request.url())) problems.push(request.url());
    });
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  async function run(query: string): Promise<void> {
    await page.goto(`${server.url}/graphql?query=${encodeURIComponent(query)}`);
    await page.getByRole('button', { name: 'Headers' }).click();
    const editor = page.locator('.graphiql-editor-tool .monaco-editor').last();
    // The editor takes text only once it has loaded, and does not say when.
    for (let isEntered = false; !isEntered; isEntered = (await editor.textContent())?.includes('Bearer') ?? false) {
      await editor.click();
      await page.keyboard.press('ControlOrMeta+A');
      await page.keyboard.insertText(JSON.stringify({ authorization: `Bearer ${server.admin}` }));
      await page.waitForTimeout(200);
    }
    await page.locator('.graphiql-execute-button').click();
  }

  test('runs a query, and a subscription over WebSocket, with the headers that were entered', async () => {
    await run('{ me { email role } }');
    await page.locator('.result-window', { hasText: 'admin@signalbox.local' }).waitFor({ timeout: 60_000 });
    const sockets: string[] = [];
    page.on('websocket', (socket) => sockets.push(socket.url()));
    await run(
      'subscription { completion(input: { model: "sandbox-small", messages: [{ role: USER, content: "Hello" }] }) { __typename } }',
    );
    await page.locator('.result-window', { hasText: 'CompletionFinished' }).waitFor({ timeout: 60_000 });
    expect(sockets.length).toBeGreaterThan(0);
    expect(problems).toEqual([]);
  }, 120_000);
});
