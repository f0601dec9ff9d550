import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type StoryClient, tellStory } from './story.ts';

// Node 20 has none of its own, and the link looks for it when a connection breaks.
globalThis.WebSocket ??= WebSocket as unknown as typeof globalThis.WebSocket;

async function connect(url: string, apiKey: string): Promise<StoryClient> {
  const headers = { authorization: `Bearer ${apiKey}` };
  const socket = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    connectionParams: headers,
    // By itself it would subscribe again as it did at first; we do it, behind what was seen last.
    retryAttempts: 0,
  });
  const client = new ApolloClient({
    cache: new InMemoryCache({ possibleTypes: await readPossibleTypes(url) }),
    link: ApolloLink.split(
      ({ operationType }) => operationType === 'subscription',
      new GraphQLWsLink(socket),
      new HttpLink({ uri: `${url}/graphql`, headers }),
    ),
  });
  return {
    async query<Data>(document: string, variables: object = {}) {
      const { data } = await client.query({ query: gql(document), variables });
      return data as Data;
    },
    async mutate<Data>(document: string, variables: object = {}) {
      const { data } = await client.mutate({ mutation: gql(document), variables });
      return data as Data;
    },
    subscribe(document, variables, { next, ended }) {
      let isOver = false;
      const end = (error: unknown) => {
        if (!isOver) ended(error);
        isOver = true;
      };
      const subscription = client.subscribe({ query: gql(document), variables, fetchPolicy: 'no-cache' }).subscribe({
        // A failure comes as a last result, and then the end comes as well.
        next: ({ data, error }) => (error ? end(error) : next(data as never)),
        error: end,
        complete: () => end(undefined),
      });
      return () => {
        isOver = true;
        subscription.unsubscribe();
      };
    },
    async close() {
      client.stop();
      await socket.dispose();
    },
  };
}

/** `... on Error` reads an interface; Apollo's cache must be told which types implement it. */
async function readPossibleTypes(url: string): Promise<Record<string, string[]>> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: '{ __schema { types { name possibleTypes { name } } } }' }),
  });
  const { data } = (await response.json()) as {
    data: { __schema: { types: { name: string; possibleTypes: { name: string }[] | null }[] } };
  };
  return Object.fromEntries(
    data.__schema.types.flatMap(({ name, possibleTypes }) =>
      possibleTypes ? [[name, possibleTypes.map((type) => type.name)]] : [],
    ),
  );
}

tellStory('Apollo Client', connect);
