import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LoggedRequest } from '../../../src/control/completions/logged-request.ts';
import { RecentRequests } from '../../../src/control/completions/recent-requests.ts';

const request = (seq: bigint) => ({ seq }) as LoggedRequest;

describe('recent requests', () => {
  it('are read from any place in any portions as they are, or not at all', () => {
    // Steps of more than 1 are rows that are gone.
    const page = fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 12 });
    fc.assert(
      fc.property(
        fc.array(page),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 7 }),
        (pages, held, limit) => {
          const recent = new RecentRequests(held, 10n);
          const all: bigint[] = [];
          for (const steps of pages) {
            const requests = steps.map((step) => {
              const seq = (all.at(-1) ?? 10n) + BigInt(step);
              all.push(seq);
              return request(seq);
            });
            recent.append({ requests, upTo: requests.at(-1)?.seq ?? recent.upTo });
          }
          const oldest = all.at(-held - 1) ?? 10n;
          for (let seq = 0n; seq <= recent.upTo + 2n; seq += 1n) {
            if (seq < oldest) {
              expect(recent.after(seq, limit)).toBeNull();
              continue;
            }
            const read: bigint[] = [];
            for (let at = seq; ; ) {
              const stretch = recent.after(at, limit);
              expect(stretch?.requests.length).toBeLessThanOrEqual(limit);
              read.push(...(stretch?.requests ?? []).map((one) => one.seq));
              if (!stretch || stretch.upTo === at) break;
              at = stretch.upTo;
            }
            expect(read).toEqual(all.filter((one) => one > seq));
          }
        },
      ),
    );
  });

  it('are known to be none where the ledger went on without any', () => {
    const recent = new RecentRequests(5, 3n);
    recent.append({ requests: [], upTo: 9n });
    expect(recent.after(3n, 2)).toEqual({ requests: [], upTo: 9n });
    expect(recent.after(2n, 2)).toBeNull();
    expect(recent.after(12n, 2)).toEqual({ requests: [], upTo: 12n });
  });
});
