import { createClient } from 'graphql-ws';
import {
  type AnyVariables,
  Client,
  cacheExchange,
  fetchExchange,
  type OperationResult,
  subscriptionExchange,
} from 'urql';
import { onEnd, pipe, subscribe } from 'wonka';
import { WebSocket } from 'ws';
import { type StoryClient, tellStory } from './story.ts';

async function connect(url: string, apiKey: string): Promise<StoryClient> {
  const headers = { authorization: `Bearer ${apiKey}` };
  const socket = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    connectionParams: headers,
    // By itself it would subscribe again as it did at first; we do it, behind what was seen last.
    retryAttempts: 0,
    webSocketImpl: WebSocket,
  });
  const client = new Client({
    url: `${url}/graphql`,
    fetchOptions: { headers },
    exchanges: [
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query = '', variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ query, variables: variables as Record<string, unknown> }, sink as never),
          }),
        }),
      }),
    ],
  });
  return {
    async query<Data>(document: string, variables: object = {}) {
      return dataOf<Data>(await client.query(document, variables).toPromise());
    },
    async mutate<Data>(document: string, variables: object = {}) {
      return dataOf<Data>(await client.mutation(document, variables).toPromise());
    },
    subscribe(document, variables, { next, ended }) {
      let isStopped = false;
      const end = (error: unknown) => {
        if (!isStopped) ended(error);
        isStopped = true;
      };
      const { unsubscribe } = pipe(
        client.subscription(document, variables as AnyVariables),
        onEnd(() => end(undefined)),
        subscribe(({ data, error }) => (error ? end(error) : next(data as never))),
      );
      return () => {
        isStopped = true;
        unsubscribe();
      };
    },
    async close() {
      await socket.dispose();
    },
  };
}

function dataOf<Data>({ data, error }: OperationResult): Data {
  if (error) throw error;
  return data as Data;
}

tellStory('urql', connect);
