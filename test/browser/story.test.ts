import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { ADMIN, startServer, type TestServer } from '../kit/server.ts';
import { type Answer, chunk, startUpstream, type Upstream, whole } from '../kit/upstream.ts';
import {
  answer,
  answerText,
  CHROMIUM,
  enterCredential,
  execute,
  type GraphiQL,
  launchBrowser,
  logIn,
  openGraphiQL,
  STEP_MS,
  write,
} from './browser.ts';

/** Where to leave pictures of the story, which the README shows; unset: it takes none. */
const PICTURES = process.env.PICTURES;

const SIGNAL_BOX =
  'A signal box is the building from which a railway sets its routes. Its signaller throws levers that move points ' +
  'and signals, and sees from there every train that comes and goes. Interlocking keeps the levers from ever ' +
  'setting two routes that would meet.';

const ACTIVATE = `mutation ActivateProvider {
  activateProvider(id: "openai") {
    ... on ActivateProviderSuccess {
      active { slug }
      previous { slug }
      message
    }
    ... on Error { code message }
  }
}
`;
const STREAM = `subscription StreamCompletion {
  completion(input: {
    model: "default"
    messages: [{
      role: USER
      content: "What is a signal box?"
    }]
  }) {
    __typename
    ... on CompletionDelta { seq text }
    ... on CompletionFinished {
      completion { provider model cost latencyMs }
    }
    ... on CompletionFailed {
      error { code message }
    }
  }
}
`;
const METRICS = `subscription LiveMetrics {
  metricsUpdated(input: {
    range: LAST_HOUR
    filter: { route: "default" }
  }) {
    summary { requests errorRate cost }
    providers { provider attempts share cost }
  }
}
`;
const SPLIT = `mutation SplitTraffic {
  setTrafficSplit(input: {
    routeId: "default"
    targets: [
      { provider: "openai", percentage: 70 }
      { provider: "groq", percentage: 30 }
    ]
  }) {
    ... on SetTrafficSplitSuccess {
      trafficSplit {
        strategy
        targets {
          percentage
          target { provider { slug } }
        }
      }
    }
    ... on ValidationError {
      issues { path message }
    }
    ... on Error { code message }
  }
}
`;

describe.skipIf(!CHROMIUM)('an admin in GraphiQL', () => {
  let server: TestServer;
  let browser: Browser;
  const upstreams: Upstream[] = [];
  const windows: GraphiQL[] = [];

  beforeAll(async () => {
    server = await startServer();
    browser = await launchBrowser();
    for (const provider of ['openai', 'groq']) await connect(provider);
  }, STEP_MS);
  afterAll(async () => {
    await browser?.close();
    await server?.close();
    for (const upstream of upstreams) await upstream.close();
  });

  /** Gives a seeded provider a key and a stand-in for its upstream. */
  async function connect(id: string): Promise<void> {
    const upstream = await startUpstream(speak);
    upstreams.push(upstream);
    const { data, errors } = await server.query<
      { updated: { __typename: string }; set: { __typename: string } },
      unknown
    >(
      `mutation ($update: UpdateProviderInput!, $key: SetProviderKeyInput!) {
        updated: updateProvider(input: $update) { __typename }
        set: setProviderKey(input: $key) { __typename }
      }`,
      { update: { id, baseUrl: upstream.url }, key: { provider: id, key: 'not-a-real-key-0000' } },
    );
    expect([data, errors]).toEqual([
      { updated: { __typename: 'UpdateProviderSuccess' }, set: { __typename: 'SetProviderKeySuccess' } },
      [],
    ]);
  }

  async function openWindow(): Promise<Page> {
    const graphiql = await openGraphiQL(browser, server.url);
    windows.push(graphiql);
    return graphiql.page;
  }

  async function takePicture(page: Page, name: string): Promise<void> {
    if (PICTURES) await page.screenshot({ path: `${PICTURES}/${name}.png` });
  }

  /** Sends as many completions to the route as its split repeats after. */
  async function sendTraffic(): Promise<void> {
    for (let sent = 0; sent < 100; sent += 1) {
      const response = await fetch(`${server.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${server.apiKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'default', messages: [{ role: 'user', content: 'Hello!' }] }),
      });
      expect(response.status).toBe(200);
      await response.arrayBuffer();
    }
  }

  test(
    'activates a provider, watches a completion stream, splits the traffic 70/30 and sees the metrics follow',
    async () => {
      const control = await openWindow();
      await logIn(control, ADMIN);
      await control.getByText(`Signed in as ${ADMIN.email}`).waitFor();

      await write(control, 'ActivateProvider', ACTIVATE);
      await execute(control);
      await answer(control).getByText('"message"').waitFor();
      expect(await answerText(control)).toMatch(/"active": { "slug": "openai" }, "previous": { "slug": "sandbox" }/);

      await write(control, 'StreamCompletion', STREAM);
      await execute(control);
      const lengths = [await streamedLength(control, 1)];
      lengths.push(await streamedLength(control, (lengths[0] ?? 0) + 100));
      expect(await answerText(control)).toContain('"CompletionDelta"');
      await takePicture(control, 'graphiql-stream');
      await answer(control).getByText('"CompletionFinished"').waitFor();
      expect(await answerText(control)).toMatch(/setting two routes that would meet\.".*"provider": "openai"/);

      const watch = await openWindow();
      await enterCredential(watch, server.apiKey);
      await watch.getByText('Signed in as').waitFor();
      await write(watch, 'LiveMetrics', METRICS);
      await execute(watch);
      await answer(watch).getByText('"requests": "1"').waitFor();

      await write(control, 'SplitTraffic', SPLIT);
      await execute(control);
      await answer(control).getByText('"WEIGHTED"').waitFor();
      expect(await answerText(control)).toMatch(/"percentage": 70,.*"openai".*"percentage": 30,.*"groq"/);
      await takePicture(control, 'graphiql-split');

      // From here on nobody touches the window that watches.
      const before = await eventNumber(watch);
      await sendTraffic();
      await answer(watch).getByText('"requests": "101"').first().waitFor();
      expect(await eventNumber(watch)).toBeGreaterThan(before);
      const shown = await answerText(watch);
      expect(shown).toMatch(/"provider": "openai", "attempts": "71", "share": 0\.70/);
      expect(shown).toMatch(/"provider": "groq", "attempts": "30", "share": 0\.29/);
      await takePicture(watch, 'graphiql-metrics');

      expect(windows.flatMap(({ problems }) => problems)).toEqual([]);
    },
    4 * STEP_MS,
  );
});

/** Characters of the answer that are shown so far, when there are at least so many. */
function streamedLength(page: Page, atLeast: number): Promise<number> {
  return eventually(async () => {
    const length = /"streamed": "([^"]*)/.exec(await answerText(page))?.[1]?.length ?? 0;
    expect(length).toBeGreaterThanOrEqual(atLeast);
    return length;
  }, STEP_MS);
}

async function eventNumber(page: Page): Promise<number> {
  return Number(/"event": (\d+)/.exec(await answerText(page))?.[1]);
}

/** Answers at once where it is not streamed, and else at the pace of a model. */
const speak: Answer = async (response, { body }) => {
  const { stream } = JSON.parse(body) as { stream?: boolean };
  if (!stream) {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(whole('Hello.')));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const word of SIGNAL_BOX.split(/(?<= )/)) {
    response.write(`data: ${JSON.stringify(chunk(word))}\n\n`);
    await sleep(60);
  }
  const usage = { prompt_tokens: 12, completion_tokens: 61, total_tokens: 73 };
  response.write(`data: ${JSON.stringify(chunk('', 'stop', { usage }))}\n\n`);
  response.end('data: [DONE]\n\n');
};
