import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { Tokens } from '../../../src/gateway/admission/tokens.ts';
import {
  answer,
  answerText,
  CHROMIUM,
  enterCredential,
  enterHeaders,
  execute,
  type GraphiQL,
  launchBrowser,
  logIn,
  openGraphiQL,
  STEP_MS,
  visit,
} from '../../browser/browser.ts';
import { eventually } from '../../kit/eventually.ts';
import { ADMIN, JWT_SECRET, startServer, type TestServer } from '../../kit/server.ts';

const ME = 'query Me { me { email role } }';
const STREAM = `subscription Stream {
  completion(input: { model: "sandbox-small", messages: [{ role: USER, content: "Hello" }] }) {
    __typename
    ... on CompletionDelta { text }
  }
}`;

vi.setConfig({ testTimeout: 2 * STEP_MS });

describe.skipIf(!CHROMIUM)('GraphiQL in a browser', () => {
  let server: TestServer;
  let browser: Browser;
  let graphiql: GraphiQL;

  beforeAll(async () => {
    server = await startServer();
    browser = await launchBrowser();
  }, STEP_MS);
  afterEach(async () => {
    expect(graphiql.problems).toEqual([]);
    await graphiql.page.context().close();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  async function open(query?: string) {
    graphiql = await openGraphiQL(browser, server.url, query);
    return graphiql.page;
  }

  test('signs in with e-mail and password, and stays signed in when it is loaded again', async () => {
    const page = await open(ME);
    await logIn(page, ADMIN);
    await page.getByText(`Signed in as ${ADMIN.email} (ADMIN), until`).waitFor();
    await execute(page);
    await answer(page).getByText('"ADMIN"').waitFor();

    await visit(page, server.url);
    await page.getByText(`Signed in as ${ADMIN.email}`).waitFor();
    await execute(page);
    await answer(page).getByText('"ADMIN"').waitFor();
  });

  test('says why it could not sign in, and lets one try again', async () => {
    const page = await open();
    await logIn(page, { ...ADMIN, password: 'not the password' });
    await page.getByRole('alert').getByText('E-mail address or password is wrong.').waitFor();
    await enterCredential(page, `sbx_${'z'.repeat(40)}`);
    await page.getByRole('alert').getByText('There is no such API key.').waitFor();
    await logIn(page, ADMIN);
    await page.getByText('Signed in as').waitFor();
    expect(await page.locator('#notice').textContent()).toBe('');
  });

  test('takes a key that is for completions only, and says that it is', async () => {
    const created = await server.query<{ createApiKey: { key: string } }, unknown>(
      'mutation { createApiKey(input: { name: "app" }) { ... on CreateApiKeySuccess { key } } }',
    );
    const page = await open(STREAM);
    await enterCredential(page, `Bearer ${created.data.createApiKey.key}`);
    await page.getByText('Signed in as an API key for completions only').waitFor();
    await execute(page);
    await answer(page).getByText('"CompletionFinished"').waitFor();
  });

  test('keeps credentials out of the address, of local storage and of cookies', async () => {
    const page = await open(ME);
    await logIn(page, ADMIN);
    await page.getByText('Signed in as').waitFor();
    await execute(page);
    await answer(page).getByText('"ADMIN"').waitFor();
    const kept = await page.evaluate('JSON.stringify(localStorage) + document.cookie + location.href');
    expect(kept).toContain(ME);
    expect(kept).not.toMatch(/eyJ|Bearer|correct horse/);
  });

  test('runs subscriptions over WebSocket as whoever is signed in when they start', async () => {
    const page = await open(STREAM);
    await execute(page);
    await answer(page).getByText('UNAUTHENTICATED').waitFor();
    await enterCredential(page, server.apiKey);
    await page.getByText('Signed in as').waitFor();
    await execute(page);
    await answer(page).getByText('"CompletionFinished"').waitFor();
    expect(await answerText(page)).toContain('"streamed": "This is the Signalbox sandbox');
    const endpoint = `${server.url.replace('http', 'ws')}/graphql`;
    expect(graphiql.sockets).toEqual([endpoint, endpoint]);
  });

  test('signs out, which ends what runs in that name', async () => {
    const page = await open(STREAM.replace('messages:', 'extra: { sandbox: { tokensPerSecond: 2 } }, messages:'));
    await enterCredential(page, server.apiKey);
    await page.getByText('Signed in as').waitFor();
    await execute(page);
    await answer(page).getByText('"CompletionDelta"').first().waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await answer(page).getByText('It was ended because you signed in or out.').waitFor();
    await eventually(() => expect(server.services.gateway.running).toBe(0));
    expect(await page.evaluate('sessionStorage.length')).toBe(0);
  });

  test('asks to sign in again when the token has expired, and keeps the manual', async () => {
    const account = await server.services.prisma.user.findUniqueOrThrow({ where: { email: ADMIN.email } });
    const short = new Tokens(JWT_SECRET, 3);
    const page = await open(ME);
    await enterCredential(page, await short.sign(account.id));
    await page.getByText('Signed in as').waitFor();
    await page.getByRole('alert').getByText('The token is not valid or has expired. Sign in again.').waitFor();
    await page.getByLabel('E-mail').waitFor();
    await page.reload();
    await page.getByRole('button', { name: 'Show Documentation Explorer' }).click();
    await page.getByRole('link', { name: 'Query', exact: true }).click();
    await page.getByText('What can be read.').waitFor();
  });

  test('lets headers that are typed in win over the sign-in', async () => {
    const page = await open(ME);
    await enterCredential(page, server.apiKey);
    await page.getByText('Signed in as').waitFor();
    await enterHeaders(page, { Authorization: 'Bearer nonsense' });
    await execute(page);
    await answer(page).getByText('UNAUTHENTICATED').waitFor();
    // Only what was typed is wrong.
    await page.getByText('Signed in as').waitFor();
    await visit(page, server.url, STREAM);
    await enterHeaders(page, { authorization: 'Bearer nonsense' });
    await execute(page);
    await answer(page).getByText('The credential is not valid').waitFor();
  });

  test('uses headers that are typed in where nobody is signed in, also for subscriptions', async () => {
    const page = await open(STREAM);
    await enterHeaders(page, { authorization: `Bearer ${server.apiKey}` });
    await execute(page);
    await answer(page).getByText('"CompletionFinished"').waitFor();
  });

  test('opens the examples as tabs at the first visit, and never in the place of own ones', async () => {
    const page = await open();
    const tabs = page.getByRole('tab');
    const openTab = (title: string) => page.locator('[role=tab][aria-selected=true]', { hasText: title });
    await openTab('Overview').waitFor();
    const examples = await tabs.count();
    expect(examples).toBeGreaterThan(5);

    await visit(page, server.url, ME);
    await openTab('Me').waitFor();
    expect(await tabs.count()).toBe(examples + 1);
    expect(page.url()).toBe(`${server.url}/graphql`);
    // GraphiQL writes its tabs down after half a second.
    await eventually(async () => {
      expect(await page.evaluate("localStorage.getItem('graphiql:tabState')")).toContain('query Me');
    });

    await visit(page, server.url);
    await openTab('Me').waitFor();
    expect(await tabs.count()).toBe(examples + 1);

    await page.getByText('Examples').click();
    await page.getByRole('link', { name: 'Overview' }).click();
    await openTab('Overview').waitFor();
    expect(await tabs.count()).toBe(examples + 1);
  });
});
