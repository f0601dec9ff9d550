import type { Admitted } from '../../admission/admit.ts';
import type { Target } from '../../routing/resolve.ts';
import { spliceMembers } from '../splice.ts';
import type { UpstreamCall } from '../transport.ts';

/**
 * The call that brings a request to its target: the body as it came, with only `model` and (so that every stream can be
 * billed) `stream_options.include_usage` set in its bytes.
 * @param sandbox controls for the sandbox; sent to no other provider
 */
export function toUpstreamCall(admitted: Admitted, target: Target, sandbox: string | null): UpstreamCall {
  const { provider, model } = target;
  const { chat, bytes } = admitted.body;
  const edits: Record<string, string> = {};
  if (chat.model !== model.name) edits.model = JSON.stringify(model.name);
  if (admitted.isStreamed && !admitted.wantsUsage) {
    edits.stream_options = JSON.stringify({ ...chat.stream_options, include_usage: true });
  }
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    accept: admitted.isStreamed ? 'text/event-stream' : 'application/json',
    'user-agent': 'signalbox',
  };
  const key = provider.keys[0];
  if (key) headers.authorization = `Bearer ${key.secret}`;
  if (sandbox !== null && provider.kind === 'SANDBOX') headers['x-sandbox'] = sandbox;
  return {
    origin: provider.origin,
    path: `${provider.basePath}/chat/completions`,
    headers,
    body: Object.keys(edits).length > 0 ? spliceMembers(bytes, edits) : bytes,
  };
}
