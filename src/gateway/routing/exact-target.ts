import { ModelNotFoundError, NotFoundError, ProviderNotFoundError } from '../../platform/errors.ts';
import { NO_OWN_KEYS } from '../admission/caller.ts';
import type { ProviderEntry, Snapshot } from '../snapshot/snapshot.ts';
import { type Target, uncatalogued } from './candidates.ts';
import { isUsable } from './usable.ts';

/** One model of one provider, past all routing. */
export interface ExactTarget {
  providerId: string;
  /** The name that the provider knows it by; it need not be in the catalog. */
  model: string;
  /** The one of the provider's keys that is sent; absent: any. */
  keyId?: string;
  /** Longest time of the call in milliseconds, where the provider's own limit is not shorter. */
  timeoutMs: number;
}

/**
 * The target that was named, with the system's keys, also when its provider or model is switched off: that is how one tries them first.
 * @throws ProviderNotFoundError, NotFoundError when it has no such key, ModelNotFoundError when the provider lacks the key or the address it needs.
 */
export function resolveExactly(exact: ExactTarget, snapshot: Snapshot): Target {
  const provider = snapshot.providersById.get(exact.providerId);
  if (!provider) throw new ProviderNotFoundError(exact.providerId, snapshot.providers);
  if (!isCallable(provider))
    throw new ModelNotFoundError(`The provider "${provider.slug}" cannot be called: it has no key or no address yet.`);
  const keys = exact.keyId === undefined ? provider.keys : provider.keys.filter(({ id }) => id === exact.keyId);
  if (exact.keyId !== undefined && keys.length === 0)
    throw new NotFoundError(`The provider "${provider.slug}" has no such key that can be used.`);
  const model = provider.models.find(({ name }) => name === exact.model);
  return {
    id: null,
    provider: { ...provider, keys, timeoutMs: Math.min(provider.timeoutMs, exact.timeoutMs) },
    model: model ?? uncatalogued(exact.model),
  };
}

/** Whether a provider has the address and the key that it needs to be called, switched on or not. */
export function isCallable(provider: ProviderEntry): boolean {
  return isUsable({ ...provider, isEnabled: true }, NO_OWN_KEYS);
}
