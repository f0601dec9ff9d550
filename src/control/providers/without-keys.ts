import type { ProviderEntry } from '../../gateway/snapshot/snapshot.ts';
import { withoutSecret } from '../../gateway/upstream/without-secret.ts';

/** What a provider said, without its keys: some repeat them. */
export function withoutKeys(text: string, provider: ProviderEntry): string {
  return provider.keys.reduce((clean, { secret }) => withoutSecret(clean, secret), text);
}
