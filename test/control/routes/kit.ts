import { expect } from 'vitest';
import type { TestServer } from '../../kit/server.ts';

export const TARGET = 'id provider { slug } models strategy priority weight percentage metadata';
export const ROUTE = `id slug name description aliases mode strategy scoreWeights { cost latency quality } isActive
  allowsPowerLevel stickyBy maxRetries totalTimeoutMs firstTokenTimeoutMs stallTimeoutMs fallbacks preferredRegions
  restartPolicy refusalPolicy cacheTtlSeconds config isDefault version targets { ${TARGET} }`;
export const FAILURES = '... on Error { code message } ... on ValidationError { issues { path message } }';

export interface Target {
  id: string;
  provider: { slug: string } | null;
  weight: number;
  percentage: number | null;
  [field: string]: unknown;
}

export interface Route {
  id: string;
  slug: string;
  version: number;
  targets: Target[];
  [field: string]: unknown;
}

export interface Failure {
  code: string;
  message: string;
  issues?: { path: string; message: string }[];
}

export type RouteOutcome = { route: Route } & Failure;

export interface SplitOutcome extends RouteOutcome {
  trafficSplit: { strategy: string; isSplit: boolean; targets: { target: Target; percentage: number | null }[] };
}

/** `createRoute` or `updateRoute`. */
export function changeRoute(server: TestServer, name: 'createRoute' | 'updateRoute', input: object) {
  const type = `${name[0]?.toUpperCase()}${name.slice(1)}`;
  return mutate<RouteOutcome>(server, name, `${type}Input`, `... on ${type}Success { route { ${ROUTE} } }`, input);
}

export function setTrafficSplit(server: TestServer, input: object) {
  const split = `trafficSplit { strategy isSplit targets { percentage target { ${TARGET} } } } route { ${ROUTE} }`;
  const success = `... on SetTrafficSplitSuccess { ${split} }`;
  return mutate<SplitOutcome>(server, 'setTrafficSplit', 'SetTrafficSplitInput', success, input);
}

async function mutate<Outcome>(server: TestServer, name: string, type: string, success: string, input: object) {
  const { data, errors } = await server.query<Record<string, Outcome>, object>(
    `mutation($input: ${type}!) { ${name}(input: $input) { ${success} ${FAILURES} } }`,
    { input },
  );
  expect(errors).toEqual([]);
  return data[name] as Outcome;
}

export async function deleteRoute(server: TestServer, id: string): Promise<RouteOutcome> {
  const { data, errors } = await server.query<{ deleteRoute: RouteOutcome }, object>(
    `mutation($id: ID!) { deleteRoute(id: $id) { ... on DeleteRouteSuccess { route { ${ROUTE} } } ${FAILURES} } }`,
    { id },
  );
  expect(errors).toEqual([]);
  return data.deleteRoute;
}

export async function findRoute(server: TestServer, id: string): Promise<Route | null> {
  const { data } = await server.query<{ route: Route | null }, object>(
    `query($id: ID!) { route(id: $id) { ${ROUTE} } }`,
    { id },
  );
  return data.route;
}

/** The slots of sticky keys that each of the route's targets owns, as they are served. */
export function slotsOf(server: TestServer, slug: string): (readonly number[])[] {
  const { targets = [] } = server.services.snapshots.current.routes.get(slug) ?? {};
  return targets.map(({ slots }) => slots);
}

/** A provider that can be used, with these models; nothing answers at its address. */
export async function createProvider(
  server: TestServer,
  slug: string,
  models: object[] = [{ name: 'm' }],
): Promise<void> {
  const input = { name: `Provider ${slug}`, slug, baseUrl: 'http://127.0.0.1:9/v1', models };
  const { data } = await server.query<{ createProvider: { __typename: string } }, object>(
    'mutation($input: CreateProviderInput!) { createProvider(input: $input) { __typename } }',
    { input },
  );
  expect(data.createProvider.__typename).toBe('CreateProviderSuccess');
}
