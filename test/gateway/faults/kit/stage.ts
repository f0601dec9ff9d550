import { afterAll, beforeAll } from 'vitest';
import type { DialectName } from '../../../../src/gateway/upstream/dialect.ts';
import { type RequestRecord, type Sandbox, startSandbox } from '../../../../src/gateway/upstream/sandbox/sandbox.ts';
import type { Settings } from '../../../../src/platform/settings.ts';
import { startServer, type TestServer } from '../../../kit/server.ts';
import type { RouteSettings } from './route-settings.ts';

/** A provider that a scene needs, with one model that misbehaves as it is told. */
export interface Part {
  /** Controls behind the model's name; none: a healthy one. */
  controls?: string;
  /** The model that is played; `sandbox-small` where nothing is said. */
  base?: string;
  dialect?: DialectName;
  contextTokens?: number;
  timeoutMs?: number;
  keys?: readonly string[];
}

/** A provider on the stage: a sandbox of its own, so that what it sees is nobody else's. */
export interface Actor {
  slug: string;
  /** The model in the route. */
  model: string;
  /** The name under which the same model is always well. */
  healthy: string;
  sandbox: Sandbox;
  /** The calls for the model in the route that reached it, oldest first. */
  calls(): RequestRecord[];
  /** Breaks all its connections and takes no more. */
  goDown(): Promise<void>;
  /** Is there again, at the same address. */
  comeBack(): Promise<void>;
}

export interface Scene {
  /** What clients put in `model`. */
  route: string;
  /** In the order in which the route tries them. */
  actors: readonly [Actor, ...Actor[]];
}

export interface Stage {
  server: TestServer;
  /** Sets up providers and a route FAILOVER over them that no other scene uses. */
  set(parts: readonly Part[], settings?: RouteSettings): Promise<Scene>;
}

/** One server for the file that calls it. Its members may be used inside tests only. */
export function useStage(overrides: Partial<Settings> = {}): Stage {
  const actors: Actor[] = [];
  const stage = {} as Stage;
  beforeAll(async () => {
    stage.server = await startServer({ rateLimitPerMinute: 0, ...overrides });
    let scenes = 0;
    stage.set = async (parts, settings = {}) => {
      const scene = `scene-${++scenes}`;
      const cast = parts.map((part, index) => engage(stage.server, `${scene}-${'abcdefgh'[index]}`, part));
      const engaged = await Promise.all(cast);
      actors.push(...engaged);
      await createRoute(stage.server, scene, engaged, settings);
      return { route: scene, actors: engaged as [Actor, ...Actor[]] };
    };
  });
  afterAll(async () => {
    await stage.server?.close();
    await Promise.all(actors.map(({ sandbox }) => sandbox.close()));
  });
  return stage;
}

async function engage(server: TestServer, slug: string, part: Part): Promise<Actor> {
  const { controls, base = 'sandbox-small', dialect = 'OPENAI', contextTokens = 128_000, keys = [] } = part;
  const sandbox = await startSandbox({ port: 0 });
  const model = `${base};${controls ?? 'scenario=well'}`;
  const facts = { inputPrice: '1', outputPrice: '2', contextTokens, maxOutputTokens: 4_096 };
  await mutate(server, 'createProvider', 'CreateProviderInput', {
    name: slug,
    slug,
    kind: 'SANDBOX',
    dialect,
    baseUrl: sandbox.urls[dialect],
    isEnabled: true,
    timeoutMs: part.timeoutMs ?? 20_000,
    ...(keys[0] === undefined ? {} : { apiKey: keys[0] }),
    models: [model, base].map((name) => ({ name, ...facts })),
  });
  for (const [index, key] of keys.slice(1).entries())
    await mutate(server, 'setProviderKey', 'SetProviderKeyInput', { provider: slug, key, name: `key ${index + 2}` });
  return new Performer(slug, model, `${slug}/${base}`, sandbox);
}

class Performer implements Actor {
  readonly slug: string;
  readonly model: string;
  readonly healthy: string;
  sandbox: Sandbox;
  /** What it was asked before it last went down. */
  #before: RequestRecord[] = [];

  constructor(slug: string, model: string, healthy: string, sandbox: Sandbox) {
    this.slug = slug;
    this.model = model;
    this.healthy = healthy;
    this.sandbox = sandbox;
  }

  calls(): RequestRecord[] {
    return [...this.#before, ...this.sandbox.requests(20_000).reverse()].filter(({ model }) => model === this.model);
  }

  async goDown(): Promise<void> {
    await this.sandbox.close();
  }

  async comeBack(): Promise<void> {
    this.#before.push(...this.sandbox.requests(20_000).reverse());
    this.sandbox = await startSandbox({ port: this.sandbox.port });
  }
}

async function createRoute(
  server: TestServer,
  slug: string,
  actors: readonly Actor[],
  settings: RouteSettings,
): Promise<void> {
  const targets = actors.map((actor, index) => ({ provider: actor.slug, models: [actor.model], priority: index + 1 }));
  await mutate(server, 'createRoute', 'CreateRouteInput', {
    name: slug,
    slug,
    strategy: 'FAILOVER',
    targets,
    ...settings,
  });
}

async function mutate(server: TestServer, name: string, type: string, input: object): Promise<void> {
  const document = `mutation ($input: ${type}!) { ${name}(input: $input) { __typename ... on Error { message } } }`;
  const { data, errors } = await server.query<Record<string, { __typename: string }>, object>(document, { input });
  if (!data?.[name]?.__typename.endsWith('Success')) throw new Error(JSON.stringify({ data, errors }));
}
