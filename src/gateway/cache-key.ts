import { createHash } from 'node:crypto';
import type { Caller, OwnKeys } from './admission/caller.ts';
import type { Target } from './routing/candidates.ts';
import type { Choice } from './routing/choice.ts';
import type { Run } from './run.ts';

/**
 * Names the answer of a request: requests with the same key are from the same caller, to the byte the same, and may be
 * sent to the same models at the same addresses with the same keys.
 */
export function cacheKeyOf({ request, admitted }: Run, choice: Choice): string {
  const { caller, operation, sandbox } = request;
  const { stickyKey, ownKeys, asked } = admitted;
  const parts = [ownerOf(caller), meaningOf(choice), stickyKey, ownKeyIds(ownKeys), operation, sandbox];
  return createHash('sha256').update(JSON.stringify(parts)).update(asked.bytes).digest('base64');
}

function ownerOf(caller: Caller): string {
  return caller.kind === 'ANONYMOUS' ? `anonymous ${caller.address}` : caller.account.id;
}

/** A choice never changes, and neither does what it means. */
const meanings = new WeakMap<Choice, string>();

/** Equal meanings, equal candidates, which are called in the same way. */
function meaningOf(choice: Choice): string {
  const known = meanings.get(choice);
  if (known !== undefined) return known;
  const { facts, warnings, targets } = choice;
  const json = JSON.stringify([facts, warnings, targets.map(placeOf)]);
  const meaning = createHash('sha256').update(json).digest('base64');
  meanings.set(choice, meaning);
  return meaning;
}

/** What of a target the facts of a decision do not tell, and its answer may depend on. */
function placeOf(target: Target | null) {
  if (!target) return null;
  const { id, kind, dialect, baseUrl, region, keys } = target.provider;
  return [id, kind, dialect, baseUrl, region, keys.map((key) => key.id), target.model.maxOutputTokens];
}

/** A key may be of another account with other models behind the same names. */
function ownKeyIds(ownKeys: OwnKeys): string[] {
  return [...ownKeys].map(([providerId, key]) => `${providerId} ${key?.id ?? ''}`).sort();
}
