import { existsSync } from 'node:fs';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { eventually } from '../kit/eventually.ts';

/** Where Chromium is; without one the browser tests are skipped. */
export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
/** For one step in a browser, on a machine that is busy. */
export const STEP_MS = 20_000;

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM as string, args: ['--no-sandbox'] });
}

/** A tab of its own with GraphiQL, and what went wrong in it. */
export interface GraphiQL {
  page: Page;
  /** Errors of its scripts, refusals of its security policy, and requests to other places than the server. */
  problems: string[];
  /** Addresses of the WebSockets that it opened. */
  sockets: string[];
}

/** Opens GraphiQL as somebody who has never been there. @param query what to open it with */
export async function openGraphiQL(browser: Browser, url: string, query?: string): Promise<GraphiQL> {
  const context = await browser.newContext({ viewport: { width: 1360, height: 720 }, colorScheme: 'light' });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const page = await context.newPage();
  page.setDefaultTimeout(STEP_MS);
  const graphiql: GraphiQL = { page, problems: [], sockets: [] };
  page.on('websocket', (socket) => graphiql.sockets.push(socket.url()));
  page.on('pageerror', (error) => graphiql.problems.push(error.message));
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) graphiql.problems.push(message.text());
  });
  page.on('request', (request) => {
    const isOwn = request.url().startsWith(`${url}/`) || request.url().startsWith('data:');
    if (!isOwn) graphiql.problems.push(request.url());
  });
  await visit(page, url, query);
  return graphiql;
}

/** Opens GraphiQL in a tab that has been there, or has not. */
export async function visit(page: Page, url: string, query?: string): Promise<void> {
  await page.goto(`${url}/graphql${query ? `?query=${encodeURIComponent(query)}` : ''}`);
  await page.locator('.graphiql-execute-button').waitFor();
}

export async function logIn(page: Page, { email, password }: { email: string; password: string }): Promise<void> {
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

export async function enterCredential(page: Page, credential: string): Promise<void> {
  await page.getByLabel('Token or API key').fill(credential);
  await page.getByRole('button', { name: 'Use it' }).click();
}

/** Opens the tab of that name and puts this operation in the place of what it has. */
export async function write(page: Page, tab: string, query: string): Promise<void> {
  // It takes no clicks until its editors are ready.
  await eventually(async () => {
    await page.getByRole('tab').getByTitle(tab, { exact: true }).click();
    expect(await page.locator('[role=tab][aria-selected=true]').textContent()).toContain(tab);
  }, STEP_MS);
  const editor = page.locator('.graphiql-query-editor .monaco-editor').first();
  await eventually(async () => {
    await editor.click();
    await page.keyboard.press('ControlOrMeta+A');
    // Typing would be helped with brackets.
    await page.evaluate((text) => navigator.clipboard.writeText(text), query);
    await page.keyboard.press('ControlOrMeta+V');
    const lines = await editor.locator('.view-line').allTextContents();
    expect(inOneLine(lines)).toBe(inOneLine([query]));
  }, STEP_MS);
}

/** Runs what is in the tab. */
export async function execute(page: Page): Promise<void> {
  await page.locator('.graphiql-execute-button').click();
}

/** The pane with the answer. */
export function answer(page: Page): Locator {
  return page.locator('.result-window');
}

/** What the answer's pane shows; the editor draws only the lines in view. */
export async function answerText(page: Page): Promise<string> {
  return inOneLine(await answer(page).locator('.view-line').allTextContents());
}

/** What an editor draws, with ordinary spaces, one at a time. */
function inOneLine(lines: readonly string[]): string {
  return lines.join(' ').replaceAll('\u00a0', ' ').replace(/\s+/g, ' ').trim();
}

/** Types headers like a person, whom the editor helps with quotes and brackets; again, if it was not ready for the keys. */
export async function enterHeaders(page: Page, headers: Record<string, string>): Promise<void> {
  await page.getByRole('button', { name: 'Headers' }).click();
  const editor = page.locator('.graphiql-editor-tool .monaco-editor').last();
  const text = JSON.stringify(headers);
  await eventually(async () => {
    await editor.click();
    await page.keyboard.press('ControlOrMeta+A');
    await page.keyboard.press('Delete');
    await page.keyboard.type(text, { delay: 5 });
    const entered = await editor.locator('.view-lines').textContent();
    expect(entered?.replaceAll('\u00a0', ' ')).toBe(text);
  }, STEP_MS);
}
