import { type ExecutionResult, execute, parse } from 'graphql';
import type { Context, Services } from '../../src/control/schema/context.ts';
import { buildSchema } from '../../src/control/schema/schema.ts';
import { uuidv7 } from '../../src/platform/ids.ts';
import { ADMIN, type TestServer } from '../kit/server.ts';

/** Runs an operation as the admin in this process, with parts of the services exchanged for ones that count. */
export async function executeWith(
  server: TestServer,
  exchanged: Partial<Services>,
  operation: string,
  variables: Record<string, unknown> = {},
): Promise<ExecutionResult> {
  const account = await server.services.prisma.user.findUniqueOrThrow({ where: { email: ADMIN.email } });
  const caller = { kind: 'USER' as const, account, expiresAt: Number.MAX_SAFE_INTEGER };
  const context: Context = {
    services: { ...server.services, ...exchanged },
    caller,
    renewCaller: () => caller,
    address: '127.0.0.1',
    requestId: uuidv7(),
    signal: new AbortController().signal,
  };
  return execute({
    schema: buildSchema(),
    document: parse(operation),
    variableValues: variables,
    contextValue: context,
  });
}

/** The pool, counting the statements that are sent through it. */
export function countingPool(server: TestServer): { pool: Services['pool']; count: () => number } {
  let statements = 0;
  const pool = new Proxy(server.services.pool, {
    get: (target, name) => {
      if (name === 'query') statements += 1;
      const value = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  return { pool, count: () => statements };
}
