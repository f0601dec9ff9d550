import { expect, onTestFinished } from 'vitest';
import { eventually } from '../../kit/eventually.ts';
import type { Credential, TestServer } from '../../kit/server.ts';

/** An event of `requestLogged`. */
export interface Logged {
  id: string;
  seq: string;
  userId: string | null;
  attempts: { number: number }[];
}

const FIELDS = 'id seq userId attempts { number }';
const FOLLOW = `subscription($input: RequestLoggedInput) { requestLogged(input: $input) { ${FIELDS} } }`;

/** Follows the request log over a WebSocket of its own until it is stopped, or else until the test ends. */
export function follow(server: TestServer, input: object = {}, credential?: Credential) {
  const client = server.ws(credential);
  const subscription = client.iterate<{ requestLogged: Logged }>({ query: FOLLOW, variables: { input } });
  const events: Logged[] = [];
  const errors: string[] = [];
  const reading = (async () => {
    for await (const { data, errors: failed = [] } of subscription) {
      if (data?.requestLogged) events.push(data.requestLogged);
      errors.push(...failed.map(({ message, extensions }) => `${extensions?.code}: ${message}`));
    }
    // A server that stops, or a socket that is cut.
  })().catch(() => undefined);
  const stop = async () => {
    await subscription.return?.();
    await reading;
    await client.dispose();
  };
  onTestFinished(stop);
  return {
    events,
    errors,
    /** Resolves when it is over. */
    reading,
    stop,
    /** Cuts the socket without a word. */
    cut: () => client.terminate(),
    seqs: () => events.map(({ seq }) => BigInt(seq)),
  };
}

/** Resolves once so many follow on this server. */
export function untilFollowed(server: TestServer, count: number): Promise<void> {
  return eventually(() => expect(server.services.requestTail.followers).toBe(count));
}

/** Makes completions, some at a time. */
export async function complete(server: TestServer, count = 1, credential?: Credential): Promise<void> {
  let left = count;
  const one = async () => {
    while (left-- > 0) {
      const { errors } = await server.query(
        'mutation($input: CompletionInput!) { complete(input: $input) { __typename } }',
        { input: { model: 'sandbox-small', messages: [{ role: 'USER', content: 'Hi' }] } },
        credential,
      );
      expect(errors).toEqual([]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, 20) }, one));
}

/** The `seq` of the last request that is committed. */
export async function headOf(server: TestServer): Promise<bigint> {
  await server.services.ledger.drained();
  const { rows } = await server.services.pool.query<{ seq: string }>('SELECT seq::text FROM ledger_head');
  return BigInt(rows[0]?.seq ?? 0);
}

/** All from `first` to `last`. */
export function range(first: bigint, last: bigint): bigint[] {
  return Array.from({ length: Number(last - first) + 1 }, (_, index) => first + BigInt(index));
}
