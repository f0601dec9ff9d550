import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { fromUsd, toUsd } from '../../../src/platform/money.ts';
import { eventually, until } from '../../kit/eventually.ts';
import { type Credential, startPeer, startServer, type TestServer } from '../../kit/server.ts';
import { connectProviders, type Upstream } from '../../kit/upstream.ts';
import { newKey, newUser, type Person, post, spend, startTill } from '../budgets/kit.ts';

interface Credits {
  userId: string;
  granted: string;
  spent: string;
  balance: string;
  held: string;
  remaining: string;
  since: string;
}

interface Entry {
  id: string;
  kind: string;
  amount: string;
  at: string;
  note: string | null;
  grantedBy: string | null;
  requestId: string | null;
  model: string | null;
}

interface History {
  totalCount: number;
  nodes: Entry[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

const CREDITS = 'userId granted spent balance held remaining since';

let server: TestServer;
let till: Upstream;
let users = 0;

beforeAll(async () => {
  server = await startServer();
  till = await startTill();
  await connectProviders(server, { till });
});
afterAll(async () => {
  await server.close();
  await till.close();
});

const somebody = (): Promise<Person> => newUser(server, `user${++users}@example.com`);

async function tryGrant(input: object, credential?: Credential, at = server) {
  const { data, errors } = await at.query<
    { grantCredits: { __typename: string; credits: Credits; message: string } },
    object
  >(
    `mutation($input: GrantCreditsInput!) { grantCredits(input: $input) {
      __typename ... on GrantCreditsSuccess { credits { ${CREDITS} } } ... on Error { message } } }`,
    { input },
    credential,
  );
  expect(errors).toEqual([]);
  return data.grantCredits;
}

async function grant(input: object): Promise<Credits> {
  const result = await tryGrant(input);
  expect(result).toMatchObject({ __typename: 'GrantCreditsSuccess' });
  return result.credits;
}

async function credits(userId: string | null, credential?: Credential): Promise<Credits | null> {
  const document = `query($userId: ID) { credits(userId: $userId) { ${CREDITS} } }`;
  const { data, errors } = await server.query<{ credits: Credits | null }, object>(document, { userId }, credential);
  expect(errors).toEqual([]);
  return data.credits;
}

async function history(userId: string, page: object = {}, credential?: Credential): Promise<History> {
  const { data, errors } = await server.query<{ creditHistory: History }, object>(
    `query($userId: ID, $first: Int, $after: String) { creditHistory(userId: $userId, first: $first, after: $after) {
      totalCount nodes { id kind amount at note grantedBy requestId model } pageInfo { hasNextPage endCursor } } }`,
    { userId, ...page },
    credential,
  );
  expect(errors).toEqual([]);
  return data.creditHistory;
}

/** All entries, page by page. */
async function wholeHistory(userId: string, first: number): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let after: string | null = null; ; ) {
    const { nodes, pageInfo } = await history(userId, { first, after });
    entries.push(...nodes);
    if (!pageInfo.hasNextPage) return entries;
    after = pageInfo.endCursor;
  }
}

function sum(entries: readonly { amount: string }[]): string {
  return toUsd(entries.reduce((total, { amount }) => total + (fromUsd(amount) ?? 0n), 0n));
}

/** The credits once everything is on the ledger, and what lies idle on servers has come back. */
async function settled(userId: string, servers = [server]): Promise<Credits | null> {
  const { id } = await server.services.prisma.allowance.findUniqueOrThrow({ where: { userId } });
  for (const { services } of servers) {
    await services.ledger.drained();
    await services.leases.notice(id);
  }
  return credits(userId);
}

describe('credits', () => {
  it('are spent by completions exactly, and not by calls with the user’s own key', async () => {
    const ann = await somebody();
    await spend(server, 777, ann);
    const { apiKey } = await newKey(server, ann.id, `of-${ann.id}`);
    const granted = await grant({ userId: ann.id, amount: '10', note: 'Welcome' });
    expect(granted).toMatchObject({ userId: ann.id, granted: '10', spent: '0', balance: '10', remaining: '10' });
    await spend(server, 400_001, ann);
    await spend(server, 3, { apiKey });
    const own = await server.query<{ setMyProviderKey: { key: { id: string } } }, object>(
      `mutation { setMyProviderKey(input: { provider: "till", key: "the-own-key-of-a-user" }) {
        ... on SetMyProviderKeySuccess { key { id } } } }`,
      {},
      ann,
    );
    await spend(server, 900_000, ann);
    const document = 'mutation($id: ID!) { deleteMyProviderKey(id: $id) { __typename } }';
    await server.query(document, own.data.setMyProviderKey.key, ann);
    await spend(server, 50, ann);
    expect(await settled(ann.id)).toMatchObject({
      spent: '0.400054',
      balance: '9.599946',
      held: '0',
      remaining: '9.599946',
    });
    const { rows } = await server.services.pool.query(
      `SELECT sum(cost)::text AS cost FROM completions WHERE user_id = $1`,
      [ann.id],
    );
    expect(rows).toEqual([{ cost: `${1_300_831n * 1_000_000n}` }]);
    const entries = await wholeHistory(ann.id, 100);
    expect(entries.map(({ kind, amount, model, note }) => ({ kind, amount, model, note }))).toEqual([
      { kind: 'COMPLETION', amount: '-0.00005', model: 'm', note: null },
      { kind: 'COMPLETION', amount: '-0.000003', model: 'm', note: null },
      { kind: 'COMPLETION', amount: '-0.400001', model: 'm', note: null },
      { kind: 'GRANT', amount: '10', model: null, note: 'Welcome' },
    ]);
  });

  it('that were never granted do not limit anybody', async () => {
    const ben = await somebody();
    await spend(server, 5_000_000, ben);
    await server.services.ledger.drained();
    expect(await credits(ben.id)).toBeNull();
    expect(await credits(null, ben)).toBeNull();
    expect(await history(ben.id)).toMatchObject({ totalCount: 0, nodes: [] });
  });

  it('that are used up refuse, until there are more, on every server at once', async () => {
    const ann = await somebody();
    const peer = await startPeer(server);
    try {
      await until(
        () => peer.services.snapshots.current.version === server.services.snapshots.current.version,
        'the peer',
      );
      await spend(peer, 1, ann);
      const { id: userId } = ann;
      await grant({ userId, amount: '0.000001' });
      const refused = async (at: TestServer) => {
        const { data } = await at.query<{ complete: object }, object>(
          `mutation { complete(input: { messages: [{ role: USER, content: "1" }], maxOutputTokens: 100 }) {
            __typename ... on InsufficientCreditsError { code remaining limit openHolds } } }`,
          {},
          ann,
        );
        return data.complete;
      };
      const refusal = { __typename: 'InsufficientCreditsError', code: 'INSUFFICIENT_CREDITS', limit: '0.000001' };
      expect(await refused(server)).toEqual({ ...refusal, remaining: '0.000001', openHolds: '0' });
      await eventually(async () => expect(await refused(peer)).toMatchObject(refusal));
      await grant({ userId, amount: '5' });
      await Promise.all([spend(server, 10, ann), spend(peer, 20, ann)]);
      expect(await settled(userId, [server, peer])).toMatchObject({ granted: '5.000001', spent: '0.00003', held: '0' });
    } finally {
      await peer.close();
    }
  });
});

describe('grantCredits', () => {
  it('adds to what there is, and takes back what is neither spent nor set aside', async () => {
    const { id: userId } = await somebody();
    const first = await grant({ userId: `USER${users}@example.com`, amount: '3' });
    await post(server, Date.now(), 1_000_000, { userId });
    expect(await grant({ userId, amount: '0.5' })).toMatchObject({
      granted: '3.5',
      balance: '2.5',
      since: first.since,
    });
    expect(await tryGrant({ userId, amount: '-2.500000000001' })).toMatchObject({
      __typename: 'ValidationError',
      message: 'amount: takes back more than the $2.5 that are neither spent nor set aside',
    });
    await server.services.pool.query(`UPDATE allowances SET leased = 10 WHERE user_id = $1`, [userId]);
    expect(await tryGrant({ userId, amount: '-2.5' })).toMatchObject({ __typename: 'ValidationError' });
    expect(await grant({ userId, amount: '-2.49999999999' })).toMatchObject({ remaining: '0', held: '0.00000000001' });
    expect((await history(userId)).nodes.map(({ amount }) => amount)).toEqual(['-2.49999999999', '0.5', '-1', '3']);
  });

  it('closes the balance of who has spent more than there was, and takes nothing back of it', async () => {
    const { id: userId } = await somebody();
    await grant({ userId, amount: '1' });
    await post(server, Date.now(), 1_500_000, { userId });
    expect(await credits(userId)).toMatchObject({ balance: '-0.5', remaining: '0' });
    expect(await tryGrant({ userId, amount: '-0.1' })).toMatchObject({
      message: 'amount: takes back more than the $0 that are neither spent nor set aside',
    });
    expect(await grant({ userId, amount: '0.2' })).toMatchObject({ balance: '-0.3' });
  });

  it('of one key grants once, however many come at the same time', async () => {
    const ann = await somebody();
    const input = { userId: ann.id, amount: '2', key: 'invoice-7' };
    const results = await Promise.all(Array.from({ length: 8 }, () => tryGrant(input)));
    expect(results.map(({ credits }) => credits.granted)).toEqual(Array(8).fill('2'));
    expect(await tryGrant({ ...input, amount: '3' })).toEqual({
      __typename: 'ConflictError',
      message: 'This key names a grant of $2 to this user; use another key for another grant.',
    });
    expect((await history(ann.id)).nodes).toMatchObject([{ amount: '2', grantedBy: await adminId() }]);
    const ben = await somebody();
    expect(await grant({ ...input, userId: ben.id })).toMatchObject({ userId: ben.id, granted: '2' });
  });

  it('that come at the same time, while completions are posted, all count', async () => {
    const { id: userId } = await somebody();
    await Promise.all([
      ...Array.from({ length: 20 }, (_, index) => grant({ userId, amount: `${index + 1}` })),
      ...Array.from({ length: 10 }, () => post(server, Date.now() + 60_000, 1, { userId })),
    ]);
    const { granted, balance } = (await credits(userId)) as Credits;
    expect(granted).toBe('210');
    expect(sum(await wholeHistory(userId, 7))).toBe(balance);
  });

  it.each<[string, object, string]>([
    ['nothing', { amount: '0' }, 'amount: must not be 0'],
    ['more than can be counted', { amount: '999999999999999999.999999999999' }, 'amount: would make more than'],
    ['an empty note', { note: ' ' }, 'note: must have 1 to 500 characters'],
    ['a key with spaces', { key: 'a b' }, 'key: must be 1 to 200 printable'],
    ['less than nothing of nothing', { amount: '-1' }, 'amount: takes back more than the $0'],
  ])('refuses %s, and changes nothing', async (what, input, message) => {
    const { id: userId } = await somebody();
    if (what.startsWith('more')) await grant({ userId, amount: '1' });
    const before = [await credits(userId), await history(userId)];
    const result = await tryGrant({ userId, amount: '1', ...input });
    expect(result).toMatchObject({ __typename: 'ValidationError', message: expect.stringContaining(message) });
    expect([await credits(userId), await history(userId)]).toEqual(before);
  });

  it.each(['nobody@example.com', uuidv7(), '\0', ''])('refuses somebody who does not exist: %j', async (userId) => {
    expect(await tryGrant({ userId, amount: '1' })).toMatchObject({ __typename: 'NotFoundError' });
  });
});

describe('creditHistory', () => {
  it('has everything once, newest first, on pages of any size, and sums up to the balance', async () => {
    const { id: userId } = await somebody();
    await grant({ userId, amount: '1' });
    for (let index = 0; index < 5; index++) {
      await post(server, Date.now(), index, { userId });
      await post(server, Date.now(), 40, { userId }, { usedOwnKey: true });
      await grant({ userId, amount: '0.01', note: `${index}` });
    }
    await correct(userId);
    const whole = await history(userId, { first: 100 });
    expect(whole.totalCount).toBe(11);
    for (const first of [1, 3, 10, 11]) expect(await wholeHistory(userId, first)).toEqual(whole.nodes);
    expect(whole.nodes.map(({ id }) => id)).toEqual(
      whole.nodes
        .map(({ id }) => id)
        .sort()
        .reverse(),
    );
    expect(whole.nodes.map(({ kind }) => kind).filter((kind) => kind === 'COMPLETION')).toHaveLength(4);
    expect(whole.nodes[0]).toMatchObject({ kind: 'WRITE_OFF', amount: '-0.000000000003' });
    expect(sum(whole.nodes)).toBe((await credits(userId))?.balance);
  });

  it('refuses a page that is too long, and what is no cursor', async () => {
    for (const page of ['first: 101', 'first: 0', 'after: "x"']) {
      const { errors } = await server.query(`{ creditHistory(${page}) { totalCount } }`);
      expect(errors[0]?.extensions.code).toBe('VALIDATION');
    }
  });
});

describe('a user', () => {
  it('sees what is theirs, by id or e-mail address or neither, and nothing of others', async () => {
    const [ann, ben] = [await somebody(), await somebody()];
    const annsEmail = `user${users - 1}@example.com`;
    const { since } = await grant({ userId: ann.id, amount: '1', note: 'Hello' });
    const anns = { granted: '1', since };
    for (const userId of [null, ann.id, annsEmail, ann.id.toUpperCase()])
      expect(await credits(userId, ann)).toMatchObject(anns);
    expect(await credits(annsEmail)).toMatchObject(anns);
    expect((await history(ann.id, {}, ann)).nodes).toMatchObject([{ amount: '1', note: 'Hello' }]);
    for (const userId of [ann.id, annsEmail, uuidv7(), 'nobody@example.com', '']) {
      const document =
        'query($userId: ID) { credits(userId: $userId) { granted } creditHistory(userId: $userId) { totalCount } }';
      const { errors } = await server.query(document, { userId }, ben);
      expect(errors.map(({ extensions, message }) => [extensions.code, message])).toEqual(
        Array(2).fill(['FORBIDDEN', 'Only admins may see what is another’s.']),
      );
    }
    expect(await credits(uuidv7())).toBeNull();
    expect(await history('nobody@example.com')).toMatchObject({ totalCount: 0, nodes: [] });
  });
});

async function adminId(): Promise<string> {
  const { id } = await server.services.prisma.user.findFirstOrThrow({ where: { role: 'ADMIN' } });
  return id;
}

/** What others do to a balance: the cost of a call is corrected by -1, and 3 of a server that was lost are written off. */
async function correct(userId: string): Promise<void> {
  const { pool } = server.services;
  await pool.query(
    `INSERT INTO corrections (id, seq, reason, attempt_id, completion_id, cost, cost_source, difference, was_unpriced)
     SELECT $2, 1, 'REPRICED', a.id, c.id, a.cost - 1, 'PRICED', -1, false
     FROM completions c JOIN attempts a ON a.completion_id = c.id
     WHERE c.user_id = $1 AND a.cost > 0 AND NOT a.used_own_key LIMIT 1`,
    [userId, uuidv7()],
  );
  await pool.query(
    `INSERT INTO write_offs (id, allowance_id, holder_id, server_id, amount)
     SELECT $2, id, $3, 'lost', 3 FROM allowances WHERE user_id = $1`,
    [userId, uuidv7(), uuidv7()],
  );
  await pool.query('UPDATE allowances SET settled = settled - 1 + 3 WHERE user_id = $1', [userId]);
}
