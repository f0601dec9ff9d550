import { describe, expect, it } from 'vitest';
import { uuidv7 } from '../../../src/platform/ids.ts';
import { expectWhole, server } from './drain-kit.ts';
import { cached, DECISION, intent, ledgerDatabase, outcome, settlement } from './kit.ts';

describe('what the drain writes of decisions', () => {
  it('writes the decision of a completion, the variant of each attempt, and that of the last one', async () => {
    const database = await ledgerDatabase();
    const node = await server(database);
    const [a, b] = [uuidv7(), uuidv7()];
    const first = intent({ targetId: a }, { decision: DECISION });
    const second = { ...intent({ number: 2, targetId: b }), origin: first.origin };
    node.start();
    await node.intend(first);
    await node.settle({ intent: first, attempt: outcome({ status: 'FAILED' }), completion: null });
    await node.intend(second);
    await node.settle(settlement(second));
    await node.drained();
    expect(await database.query('SELECT decision, target_id, is_cached FROM completions')).toEqual([
      { decision: DECISION, target_id: b, is_cached: false },
    ]);
    expect(await database.query('SELECT target_id FROM attempts ORDER BY number')).toEqual([
      { target_id: a },
      { target_id: b },
    ]);
    const series = 'SELECT subject, status, target_id FROM rollup_series ORDER BY subject, status';
    expect(await database.query(series)).toEqual([
      { subject: 'COMPLETION', status: 'SUCCEEDED', target_id: b },
      { subject: 'ATTEMPT', status: 'SUCCEEDED', target_id: b },
      { subject: 'ATTEMPT', status: 'FAILED', target_id: a },
    ]);
  });

  it('writes a completion without attempts once, also when its record is met again', async () => {
    const database = await ledgerDatabase();
    const node = await server(database);
    const hit = cached({ decision: DECISION }, { targetId: uuidv7() });
    node.start();
    const running = intent();
    // It keeps the stored position before what follows.
    await node.intend(running);
    await node.complete(hit);
    await node.complete(hit);
    await node.drained();
    await node.stop();
    node.start();
    await node.settle(settlement(running));
    await node.drained();
    expect(node.errors).toEqual([]);
    const rows = await database.query('SELECT * FROM completions WHERE is_cached');
    expect(rows).toMatchObject([
      {
        id: hit.origin.completionId,
        attempt_count: 0,
        cost: '0',
        target_id: hit.outcome.targetId,
        decision: DECISION,
        status: 'SUCCEEDED',
      },
    ]);
    await expectWhole(database, 2, 1);
  });

  it('writes facts as soon as they are read, each once, whatever texts they hold', async () => {
    const database = await ledgerDatabase();
    const node = await server(database);
    const facts = ['a', 'b'].map((id) => ({ id, content: { [`${id}\0`]: ['\ud800', 1.5, null], nested: { id } } }));
    for (const fact of [...facts, ...facts]) await node.record(fact);
    node.start();
    await node.drained();
    const select = 'SELECT id, content FROM routing_facts ORDER BY id';
    const clean = (id: string) => ({ id, content: { [`${id}\ufffd`]: ['\ufffd', 1.5, null], nested: { id } } });
    expect(await database.query(select)).toEqual([clean('a'), clean('b')]);
    // As another server would that learns of it by itself.
    await node.record({ id: 'a', content: 'other' });
    await node.record({ id: 'c', content: 'text' });
    await node.drained();
    expect(node.errors).toEqual([]);
    expect(await database.query(select)).toEqual([clean('a'), clean('b'), { id: 'c', content: 'text' }]);
    // What is read is not read again.
    expect(await database.query('SELECT segment::int, "offset"::int FROM ledger_positions')).toEqual([
      node.journal.end,
    ]);
  });

  it('sums up what has no variant in the series that were there before there were variants', async () => {
    const database = await ledgerDatabase();
    const node = await server(database);
    const { status, providerId, providerSlug, model } = { ...settlement(intent()).completion, ...intent() };
    const before = ['COMPLETION', status, null, null, null, providerId, providerSlug, 'sandbox-small-1'];
    await database.query(
      `INSERT INTO rollup_series (key, subject, status, provider_id, provider_slug, model)
       VALUES (encode(sha256(convert_to($1, 'UTF8')), 'hex'), 'COMPLETION', $2, $3, $4, 'sandbox-small-1')`,
      [JSON.stringify(before), status, providerId, providerSlug],
    );
    expect(model).toBe('sandbox-small');
    for (const targetId of [null, uuidv7()]) {
      const only = intent({ targetId });
      await node.intend(only);
      await node.settle(settlement(only));
    }
    node.start();
    await node.drained();
    const series = `SELECT target_id IS NULL AS plain FROM rollup_series WHERE subject = 'COMPLETION' ORDER BY id`;
    expect(await database.query(series)).toEqual([{ plain: true }, { plain: false }]);
  });
});
