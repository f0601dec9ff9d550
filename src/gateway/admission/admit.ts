import { AuthenticationError, invalid, OverloadedError } from '../../platform/errors.ts';
import type { CompletionRequest } from '../completion.ts';
import { resolveExactly } from '../routing/exact-target.ts';
import { type Resolution, resolve, type Turns } from '../routing/resolve.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { type ParsedBody, parseBody } from '../upstream/body.ts';
import { type ParsedEmbeddings, parseEmbeddings } from '../upstream/embeddings-body.ts';
import { NO_OWN_KEYS, type OwnKeys, ownKeysOf } from './caller.ts';

const MOST_TAGS = 10;
const LONGEST_TAG = 200;

/** What a client wants: a chat completion, or embeddings. */
export type Asked = ParsedBody | ParsedEmbeddings;

/** A request that may be dispatched: what it says and where it may go. */
export interface Admitted {
  asked: Asked;
  /** What the client put in `model`. */
  model: string | null;
  snapshot: Snapshot;
  resolution: Resolution;
  /** The caller's own keys, where they count: an exact target is about the system's. */
  ownKeys: OwnKeys;
  isStreamed: boolean;
  /** The client asked for the usage at the end of the stream. */
  wantsUsage: boolean;
}

export interface AdmissionRules {
  anonymousCompletions: boolean;
  /** Completions that may run at once on this server. */
  mostRunning: number;
}

/**
 * Decides whether a request may go on, and where. Reads memory only.
 * @param turns counts the request, if its route goes by that
 * @throws SignalboxError of the kind that says why not
 */
export function admit(
  request: CompletionRequest,
  snapshot: Snapshot,
  running: number,
  rules: AdmissionRules,
  turns: Turns,
): Admitted {
  if (request.caller.kind === 'ANONYMOUS' && !rules.anonymousCompletions) {
    throw new AuthenticationError('Send an API key: "Authorization: Bearer sbx_…".');
  }
  if (running >= rules.mostRunning) {
    throw new OverloadedError(`${rules.mostRunning} completions are running on this server, the most it takes.`, 1);
  }
  checkTags(request.tags);
  const asked = request.operation === 'EMBEDDINGS' ? parseEmbeddings(request.body) : parseBody(request.body);
  const chat = 'chat' in asked ? asked.chat : null;
  const model = 'chat' in asked ? (asked.chat.model ?? null) : asked.embeddings.model;
  const isStreamed = chat?.stream === true;
  return {
    asked,
    model,
    snapshot,
    resolution: request.target
      ? resolveExactly(request.target, snapshot)
      : resolve(model, snapshot, request.caller, turns),
    ownKeys: request.target ? NO_OWN_KEYS : ownKeysOf(request.caller),
    isStreamed,
    wantsUsage: isStreamed && chat.stream_options?.include_usage === true,
  };
}

function checkTags(tags: Readonly<Record<string, string>>): void {
  const entries = Object.entries(tags);
  if (entries.length > MOST_TAGS) {
    throw invalid('tags', `must be at most ${MOST_TAGS}`);
  }
  for (const [name, value] of entries) {
    if (name.length > 0 && name.length <= LONGEST_TAG && value.length <= LONGEST_TAG) continue;
    const message = `must have a name and a value of at most ${LONGEST_TAG} characters`;
    throw invalid('tags', message);
  }
}
