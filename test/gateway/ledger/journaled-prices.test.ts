import { expect, it } from 'vitest';
import { JournaledPrices } from '../../../src/gateway/ledger/journaled-prices.ts';
import { priceVersion } from '../../../src/gateway/ledger/prices.ts';

const price = priceVersion({ input: 1, output: 2 });

it('brings a price along with every record until it is durable once, and then no more', async () => {
  const groups: { promise: Promise<void>; resolve: () => void; reject: (reason: Error) => void }[] = [];
  const prices = new JournaledPrices({
    append(payload, mustKeep) {
      expect(payload).toBe(`["p","${price.id}",{"input":1,"output":2}]`);
      expect(mustKeep).toBe(true);
      let resolve = () => {};
      let reject: (reason: Error) => void = () => {};
      const promise = new Promise<void>((...of) => {
        [resolve, reject] = of;
      });
      groups.push({ promise, resolve, reject });
      return promise;
    },
  });
  prices.write(price);
  prices.write(price);
  expect(groups).toHaveLength(2);
  groups[0]?.reject(new Error('The disk is full.'));
  await expect(groups[0]?.promise).rejects.toThrow('full');
  prices.write(price);
  expect(groups).toHaveLength(3);
  groups[1]?.resolve();
  await groups[1]?.promise;
  prices.write(price);
  expect(groups).toHaveLength(3);
});
