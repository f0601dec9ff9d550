import { renderGraphiQL } from '@graphql-yoga/render-graphiql';
import type { GraphiQLOptions } from 'graphql-yoga';

const FIRST_STEPS = `# Signalbox. Press the play button, or Ctrl-Enter.
#
# Most fields need you to be signed in: run the mutation, then put its token under Headers
# as {"authorization": "Bearer <token>"}; an API key works the same way.

mutation LogIn {
  logIn(input: { email: "admin@signalbox.local", password: "" }) {
    ... on LogInSuccess { token user { email role } }
    ... on Error { code message }
  }
}

query Me {
  me { email role tier }
}
`;

export const graphiqlOptions: GraphiQLOptions = {
  title: 'Signalbox',
  subscriptionsProtocol: 'WS',
  defaultQuery: FIRST_STEPS,
  isHeadersEditorEnabled: true,
};

/**
 * The GraphiQL page, with everything inline. As it ships, it sends the headers that people enter over HTTP alone; its
 * WebSocket client takes `connectionParams` from the same place, so they are named there as well.
 */
export function renderPage(options: GraphiQLOptions | undefined): string {
  const page = renderGraphiQL(options);
  return page.replace(
    /extensions:\{headers:(\w+)\?\.headers\}/,
    'extensions:{headers:$1?.headers,connectionParams:$1?.headers}',
  );
}
