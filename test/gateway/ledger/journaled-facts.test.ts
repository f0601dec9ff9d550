import { expect, it } from 'vitest';
import { JournaledFacts } from '../../../src/gateway/ledger/journaled-facts.ts';

/** A journal of which the test decides what becomes of each record. */
function journal() {
  const records: { payload: string; mustKeep: boolean; resolve: () => void; reject: (reason: Error) => void }[] = [];
  const append = (payload: string, mustKeep: boolean) =>
    new Promise<void>((resolve, reject) => records.push({ payload, mustKeep, resolve, reject }));
  return { records, facts: new JournaledFacts({ append }) };
}

it('writes a fact once, and again only when it could not be written', async () => {
  const { records, facts } = journal();
  const fact = { id: 'one', content: { candidates: [1, 2] } };
  expect([facts.write(fact), facts.write(fact)]).toEqual([true, true]);
  expect(records).toMatchObject([{ payload: '["f","one",{"candidates":[1,2]}]', mustKeep: false }]);
  records[0]?.reject(new Error('The disk is full.'));
  await new Promise(setImmediate);
  expect([facts.write(fact), facts.write(fact)]).toEqual([true, true]);
  records[1]?.resolve();
  await new Promise(setImmediate);
  facts.write(fact);
  expect(records).toHaveLength(2);
});

it('writes a fact again once a day, if it is still named', () => {
  const { records, facts } = journal();
  const fact = { id: 'one', content: {} };
  const day = 24 * 3_600_000;
  for (const at of [0, 1, day - 1]) facts.write(fact, at);
  expect(records).toHaveLength(1);
  for (const at of [day, day + 1, 2 * day - 1]) expect(facts.write(fact, at)).toBe(true);
  expect(records).toHaveLength(2);
  expect(records[1]?.payload).toBe(records[0]?.payload);
});

it('says that one is too large, each time, and looks at it once', () => {
  const { records, facts } = journal();
  let looks = 0;
  const content = {
    toJSON: () => {
      looks += 1;
      return 'x'.repeat(300_000);
    },
  };
  expect([1, 2, 3].map(() => facts.write({ id: 'large', content }))).toEqual([false, false, false]);
  expect(looks).toBe(1);
  expect(records).toEqual([]);
});

it('remembers ten thousand, and then begins anew', () => {
  const { records, facts } = journal();
  for (let id = 0; id <= 10_000; id += 1) facts.write({ id: `${id}`, content: id });
  expect(records).toHaveLength(10_001);
  facts.write({ id: '10000', content: 0 });
  expect(records).toHaveLength(10_001);
  facts.write({ id: '0', content: 0 });
  expect(records).toHaveLength(10_002);
});
