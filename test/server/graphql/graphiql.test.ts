import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../../kit/eventually.ts';
import { startServer, type TestServer } from '../../kit/server.ts';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const LIMIT_MS = 60_000;

describe.skipIf(!executablePath)('GraphiQL in a browser', () => {
  let server: TestServer;
  let browser: Browser;
  const problems: string[] = [];
  const sockets: string[] = [];

  beforeAll(async () => {
    server = await startServer();
    browser = await chromium.launch({ executablePath: executablePath as string, args: ['--no-sandbox'] });
  }, LIMIT_MS);
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  /** Runs a query on a fresh page, with the admin's API key among the headers. */
  async function run(query: string): Promise<Page> {
    const page = await browser.newPage();
    page.on('websocket', (socket) => sockets.push(socket.url()));
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('request', (request) => {
      if (!/^(blob|data|https?:\/\/127\.0\.0\.1)/.test(request.url())) problems.push(request.url());
    });
    await page.goto(`${server.url}/graphql?query=${encodeURIComponent(query)}`);
    await enterHeaders(page);
    await page.locator('.graphiql-execute-button').click();
    return page;
  }

  /** Types like a person, whom the editor helps with quotes and brackets; again, if it was not ready for the keys. */
  async function enterHeaders(page: Page): Promise<void> {
    await page.getByRole('button', { name: 'Headers' }).click();
    const editor = page.locator('.graphiql-editor-tool .monaco-editor').last();
    const headers = JSON.stringify({ authorization: `Bearer ${server.apiKey}` });
    await eventually(async () => {
      await editor.click();
      await page.keyboard.press('ControlOrMeta+A');
      await page.keyboard.press('Delete');
      await page.keyboard.type(headers, { delay: 5 });
      const entered = await editor.locator('.view-lines').textContent();
      expect(entered?.replaceAll('\u00a0', ' ')).toBe(headers);
    }, LIMIT_MS);
  }

  test(
    'runs a query with the headers that were entered',
    async () => {
      const page = await run('{ me { email role } }');
      await page.locator('.result-window', { hasText: 'admin@signalbox.local' }).waitFor({ timeout: LIMIT_MS });
      expect(problems).toEqual([]);
      await page.close();
    },
    2 * LIMIT_MS,
  );

  test(
    'runs a subscription over WebSocket with the headers that were entered',
    async () => {
      const input = '{ model: "sandbox-small", messages: [{ role: USER, content: "Hello" }] }';
      const page = await run(`subscription { completion(input: ${input}) { __typename } }`);
      await page.locator('.result-window', { hasText: 'CompletionFinished' }).waitFor({ timeout: LIMIT_MS });
      expect(sockets).toEqual([`${server.url.replace('http', 'ws')}/graphql`]);
      expect(problems).toEqual([]);
      await page.close();
    },
    2 * LIMIT_MS,
  );
});
