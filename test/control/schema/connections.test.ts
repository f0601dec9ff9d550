import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readPage } from '../../../src/control/schema/connections.ts';
import { ValidationError } from '../../../src/platform/errors.ts';
import { uuidv7 } from '../../../src/platform/ids.ts';

/** A list, newest first, as a table with an index on its id would give it. */
function list(ids: string[]) {
  return {
    rows: async (after: string | null, limit: number) =>
      [...ids]
        .sort()
        .reverse()
        .filter((id) => after === null || id < after)
        .slice(0, limit)
        .map((id) => ({ id })),
    count: async () => ids.length,
  };
}

test('walking through a list gives everything that stays in it once and in order, whatever comes and goes meanwhile', async () => {
  const steps = fc.record({
    size: fc.integer({ min: 0, max: 60 }),
    first: fc.integer({ min: 1, max: 20 }),
    removals: fc.array(fc.nat(), { maxLength: 20 }),
    additions: fc.array(fc.boolean(), { maxLength: 20 }),
  });
  await fc.assert(
    fc.asyncProperty(steps, async ({ size, first, removals, additions }) => {
      const ids = Array.from({ length: size }, (_, index) => uuidv7(1_700_000_000_000 + index));
      const original = new Set(ids);
      const removed = new Set<string>();
      const seen: string[] = [];
      let after: string | null = null;
      for (let number = 0; ; number += 1) {
        const page: Awaited<ReturnType<typeof readPage<{ id: string }>>> = await readPage({ first, after }, list(ids));
        seen.push(...page.edges.map(({ node }) => node.id));
        expect(page.edges.length).toBeLessThanOrEqual(first);
        expect(page.pageInfo.hasPreviousPage).toBe(number > 0);
        after = page.pageInfo.endCursor;
        // The row of the cursor itself goes, some other row goes, and a new one comes.
        const last = seen.at(-1);
        const removal = removals[number];
        const other = removal === undefined ? undefined : ids[removal % Math.max(ids.length, 1)];
        for (const id of [last, other]) {
          if (!id || !ids.includes(id)) continue;
          ids.splice(ids.indexOf(id), 1);
          if (!seen.includes(id)) removed.add(id);
        }
        if (additions[number]) ids.push(uuidv7());
        if (!page.pageInfo.hasNextPage) break;
      }
      const stayed = [...original].filter((id) => !removed.has(id));
      expect(new Set(seen).size).toBe(seen.length);
      expect([...seen].sort().reverse()).toEqual(seen);
      expect(stayed.every((id) => seen.includes(id))).toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('whatever is given as a cursor is a validation error or a cursor, and never a fault', async () => {
  const part = fc.oneof(fc.constant('ID'), fc.constant(null), fc.uuid(), fc.string(), fc.integer());
  const madeUp = fc.oneof(
    fc.json(),
    fc.array(part, { maxLength: 4 }).map((parts) => JSON.stringify(parts)),
  );
  const encoded = madeUp.map((text) => Buffer.from(text).toString('base64url'));
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.base64String(), fc.uuid(), encoded), async (after) => {
      const outcome = await readPage({ after }, list([])).catch((error) => error);
      expect(after === '' || isCursor(after) || outcome instanceof ValidationError).toBe(true);
    }),
  );
});

/** Whether it is one that the list could have given. */
function isCursor(text: string): boolean {
  return /^\["ID",null,"[0-9a-f-]{36}"\]$/.test(Buffer.from(text, 'base64url').toString());
}

test('the list is counted only when asked', async () => {
  let counted = 0;
  const source = {
    ...list([uuidv7()]),
    count: async () => {
      counted += 1;
      return 1;
    },
  };
  const page = await readPage({}, source);
  expect(counted).toBe(0);
  expect(await page.count()).toBe(1);
});
