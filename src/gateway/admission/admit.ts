import { AuthenticationError, invalid, OverloadedError } from '../../platform/errors.ts';
import type { CompletionRequest } from '../completion.ts';
import type { Target } from '../routing/candidates.ts';
import type { Choice } from '../routing/choice.ts';
import { resolveExactly } from '../routing/exact-target.ts';
import type { PowerLevel } from '../routing/power-level.ts';
import { resolve } from '../routing/resolve.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { type ParsedBody, parseBody } from '../upstream/body.ts';
import { type ParsedEmbeddings, parseEmbeddings } from '../upstream/embeddings-body.ts';
import { type Caller, NO_OWN_KEYS, type OwnKeys, ownKeysOf } from './caller.ts';

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
  /** Where it may go: a choice, of which one is picked, or the one target that was named exactly. */
  destination: Choice | Target;
  /** What the requests of a session, user or API key have in common, where the route goes by it; null: nothing. */
  stickyKey: string | null;
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

const LONGEST_SESSION_KEY = 200;

type StickyParts = Pick<CompletionRequest, 'caller' | 'sessionKey'>;

/**
 * Decides whether a request may go on, and where it may go. Reads memory only.
 * @throws SignalboxError of the kind that says why not
 */
export function admit(
  request: CompletionRequest,
  snapshot: Snapshot,
  running: number,
  rules: AdmissionRules,
): Admitted {
  if (request.caller.kind === 'ANONYMOUS' && !rules.anonymousCompletions) {
    throw new AuthenticationError('Send an API key: "Authorization: Bearer sbx_…".');
  }
  if (running >= rules.mostRunning) {
    throw new OverloadedError(`${rules.mostRunning} completions are running on this server, the most it takes.`, 1);
  }
  checkTags(request.tags);
  checkSessionKey(request.sessionKey);
  const asked = request.operation === 'EMBEDDINGS' ? parseEmbeddings(request.body) : parseBody(request.body);
  const chat = 'chat' in asked ? asked.chat : null;
  const model = 'chat' in asked ? (asked.chat.model ?? null) : asked.embeddings.model;
  const isStreamed = chat?.stream === true;
  const { caller } = request;
  const destination = request.target
    ? resolveExactly(request.target, snapshot)
    : resolve(model, snapshot, caller, request.powerLevel ?? powerLevelOf(caller));
  return {
    asked,
    model,
    snapshot,
    destination,
    stickyKey: 'facts' in destination ? stickyKeyOf(destination, request) : null,
    ownKeys: request.target ? NO_OWN_KEYS : ownKeysOf(caller),
    isStreamed,
    wantsUsage: isStreamed && chat.stream_options?.include_usage === true,
  };
}

/** A user's own preference. */
export function powerLevelOf(caller: Caller): PowerLevel {
  return caller.kind === 'ANONYMOUS' ? 'BALANCED' : caller.account.powerLevel;
}

/** With the route's id, so that the splits of two routes are independent of each other. */
export function stickyKeyOf({ route }: Choice, { caller, sessionKey }: StickyParts): string | null {
  if (!route?.stickyBy) return null;
  const keys = {
    SESSION: sessionKey ?? null,
    USER: caller.kind === 'ANONYMOUS' ? null : caller.account.id,
    API_KEY: caller.kind === 'API_KEY' ? caller.key.id : null,
  };
  const key = keys[route.stickyBy];
  return key === null ? null : `${route.id} ${key}`;
}

function checkSessionKey(key: string | undefined): void {
  if (key === undefined || (key.length > 0 && key.length <= LONGEST_SESSION_KEY)) return;
  throw invalid('sessionKey', `must have 1 to ${LONGEST_SESSION_KEY} characters`);
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
