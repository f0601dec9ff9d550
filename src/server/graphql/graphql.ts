import type { Server } from 'node:http';
import type { GraphQLSchema } from 'graphql';
import type { Services } from '../../control/schema/context.ts';
import { buildSchema } from '../../control/schema/schema.ts';
import { createHttpHandler, type HttpHandler } from './http.ts';
import { createWebSockets } from './websocket.ts';
import { createPipeline, type Pipeline } from './yoga.ts';

export interface GraphQLDoor {
  yoga: Pipeline;
  /** Serves `/graphql`; reads the body itself. */
  handler: HttpHandler;
  /** Takes the WebSocket upgrades of a server; those for other paths are answered with 404. */
  attachWebSocket(server: Server): void;
  /** Ends all subscriptions with a last event, and closes the sockets (1001). */
  dispose(): Promise<void>;
}

/** The GraphQL door: HTTP, SSE and WebSocket on one path, all through one pipeline. */
export function createGraphQL(services: Services, schema: GraphQLSchema = buildSchema()): GraphQLDoor {
  const subscriptions = new Set<AbortController>();
  const yoga = createPipeline(schema, services, subscriptions);
  const webSockets = createWebSockets(yoga, services);
  return {
    yoga,
    handler: createHttpHandler(yoga, services),
    attachWebSocket: webSockets.attach,
    async dispose() {
      for (const controller of subscriptions) controller.abort();
      // The ends of the subscriptions go out before the sockets close.
      await new Promise((resolve) => setImmediate(resolve));
      await webSockets.dispose();
    },
  };
}
