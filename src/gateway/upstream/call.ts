import type { ProviderEntry, ProviderKey } from '../snapshot/snapshot.ts';
import { DIALECTS } from './dialects.ts';
import type { UpstreamCall } from './transport.ts';

/** What is sent to a provider, besides where it is and who asks. */
export interface CallParts {
  /** Behind the provider's base URL. */
  path: string;
  /** Absent: nothing is sent, only asked. */
  body?: Buffer;
  accept: 'application/json' | 'text/event-stream';
  /** Controls for the sandbox; sent to no other provider. */
  sandbox: string | null;
}

/** A call as the transport takes it: with the provider's address, and the key where its dialect wants it. */
export function toUpstreamCall(provider: ProviderEntry, key: ProviderKey | null, parts: CallParts): UpstreamCall {
  const { auth, headers: ofDialect } = DIALECTS[provider.dialect];
  const headers: Record<string, string> = {
    ...(parts.body ? { 'content-type': 'application/json' } : {}),
    accept: parts.accept,
    'user-agent': 'signalbox',
    ...ofDialect,
  };
  if (key) headers[auth.header] = auth.prefix + key.secret;
  if (parts.sandbox !== null && provider.kind === 'SANDBOX') headers['x-sandbox'] = parts.sandbox;
  return { origin: provider.origin, path: provider.basePath + parts.path, headers, body: parts.body ?? null };
}
