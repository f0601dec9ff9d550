import type { Caller } from '../../gateway/admission/caller.ts';
import type { Comparison } from '../../generated/prisma/client.ts';
import { ValidationError, type ValidationIssue } from '../../platform/errors.ts';
import { uuidv7 } from '../../platform/ids.ts';
import { findRoute } from '../routes/routes.ts';
import type { Services } from '../schema/context.ts';
import { accountOf } from '../schema/owners.ts';
import { parseInput } from '../schema/parse-input.ts';
import { type RecordComparisonInput, recordComparisonInput } from './comparison-input.ts';

/**
 * Records which of two answers is the better one.
 * @throws ValidationError, also when a variant is no target of the route; RouteNotFoundError.
 */
export async function recordComparison(
  { prisma, snapshots }: Pick<Services, 'prisma' | 'snapshots'>,
  caller: Caller,
  input: RecordComparisonInput,
): Promise<Comparison> {
  const { routeId: routeName, variantA, variantB, ...judged } = parseInput(recordComparisonInput, input);
  const route = routeName ? await findRoute(prisma, { snapshots }, routeName) : null;
  const issues: ValidationIssue[] = [];
  const targetOf = (path: string, id: string | null | undefined) => {
    if (!id) return null;
    const target = route?.targets.find((one) => one.id === id.toLowerCase());
    if (!target) issues.push({ path, message: 'is not the id of a target of this route' });
    return target?.id ?? null;
  };
  const [targetAId, targetBId] = [targetOf('variantA', variantA), targetOf('variantB', variantB)];
  if (issues.length > 0) throw new ValidationError(issues);
  const recordedBy = accountOf(caller).id;
  const routeId = route?.id ?? null;
  return prisma.comparison.create({
    data: {
      ...{ id: uuidv7(), routeId, targetAId, targetBId, recordedBy },
      ...{ prompt: judged.prompt, answerA: judged.answerA, answerB: judged.answerB, winner: judged.winner },
      ...{ judge: judged.judge, judgeName: judged.judgeName ?? null, notes: judged.notes ?? null },
      ...{ scoreA: judged.scoreA ?? null, scoreB: judged.scoreB ?? null },
    },
  });
}
