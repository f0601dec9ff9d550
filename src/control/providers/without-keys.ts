import type { ProviderEntry } from '../../gateway/snapshot/snapshot.ts';

/** What a provider said, without its keys: some repeat them. */
export function withoutKeys(text: string, provider: ProviderEntry): string {
  return provider.keys.reduce((clean, { secret }) => clean.replaceAll(secret, '…'), text);
}
