import { expect, test } from 'vitest';
import { createLog } from '../../../src/platform/log.ts';
import { startServer } from '../../kit/server.ts';

test('operations that get no connection in time are told to try again, and are no fault', async () => {
  const logged: string[] = [];
  const log = createLog({ logLevel: 'error' }, { write: (line) => void logged.push(line) });
  const server = await startServer({ databasePoolMax: 4 }, log);
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const holding = [1, 2].map(() => server.services.prisma.$transaction(() => released, { timeout: 20_000 }));
  const answers = await Promise.all([
    server.query('{ models(first: 1) { nodes { id } } }'),
    server.query('mutation { updateProvider(input: { id: "sandbox", priority: 3 }) { __typename } }'),
  ]);
  for (const { errors } of answers)
    expect(errors).toMatchObject([{ extensions: { code: 'OVERLOADED', retryAfterSeconds: 1 } }]);
  release();
  await Promise.all(holding);
  expect(logged).toEqual([]);
  expect((await server.query('{ models(first: 1) { nodes { id } } }')).errors).toEqual([]);
  await server.close();
});
