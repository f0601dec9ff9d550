import { CancelledError, UpstreamError } from '../platform/errors.ts';
import { LARGEST_ERROR, readAll, toBreak } from './relay.ts';
import type { KeyRing } from './routing/keys.ts';
import type { ProviderEntry, ProviderKey } from './snapshot/snapshot.ts';
import { toUpstreamCall } from './upstream/call.ts';
import { MalformedAnswer } from './upstream/dialect.ts';
import { type AttemptPlace, type Failure, readFailure } from './upstream/failure.ts';
import { PROVIDER_KINDS } from './upstream/kinds.ts';
import { type ListedModel, type ModelPage, modelListPath, readModelPage } from './upstream/model-list.ts';
import type { Transport } from './upstream/transport.ts';
import { Watchdog } from './upstream/watchdog.ts';

const LARGEST_PAGE = 8 * 1024 * 1024;
const MOST_PAGES = 20;
const MOST_MODELS = 10_000;
const NO_MODELS: ModelPage = { models: [], next: null };
const NONE_TRIED: ReadonlySet<string> = new Set();

export interface ListRequest {
  timeoutMs: number;
  /** Whether it is only to be seen that the provider is there and takes the key; the models are not read then. */
  isCheck: boolean;
  signal: AbortSignal;
}

/** What came of asking a provider for its models. `failure` null: it answered. */
export interface ListOutcome {
  models: readonly ListedModel[];
  failure: Failure | null;
  /** Of the first page. */
  latencyMs: number;
  upstreamStatus: number | null;
}

/**
 * Asks providers for the list of their models. That is no completion: it costs nothing, and is not on the ledger.
 */
export class ModelLists {
  readonly #transport: Transport;
  readonly #keys: KeyRing;

  /** @param keys chooses one of the system's, and learns how it did */
  constructor(transport: Transport, keys: KeyRing) {
    this.#transport = transport;
    this.#keys = keys;
  }

  async read(provider: ProviderEntry, request: ListRequest): Promise<ListOutcome> {
    const choice = this.#keys.choose(provider.id, provider.keys, NONE_TRIED);
    const key = choice.kind === 'NONE' ? null : choice.key;
    const place = { provider: provider.slug, attempt: 1, secret: key?.secret ?? null, inputTokens: 0 };
    const startedAt = Date.now();
    const models: ListedModel[] = [];
    const outcome: ListOutcome = { models, failure: null, latencyMs: 0, upstreamStatus: null };
    let next: string | null = null;
    for (let pages = 0; pages < MOST_PAGES && models.length < MOST_MODELS; pages++) {
      const page: ModelPage | Failure = await this.#readPage(provider, key, request, next, place);
      if (pages === 0) outcome.latencyMs = Date.now() - startedAt;
      if ('error' in page) {
        if (page.key && key) this.#keys.rest(key.id, page.key, page.retryAfterMs);
        return { ...outcome, failure: page, upstreamStatus: page.upstreamStatus };
      }
      if (key) this.#keys.accepted(key.id, startedAt);
      outcome.upstreamStatus = 200;
      models.push(...page.models.slice(0, MOST_MODELS - models.length));
      next = page.next;
      if (next === null || request.isCheck) break;
    }
    return outcome;
  }

  async #readPage(
    provider: ProviderEntry,
    key: ProviderKey | null,
    { timeoutMs, isCheck, signal }: ListRequest,
    next: string | null,
    place: AttemptPlace,
  ): Promise<ModelPage | Failure> {
    const { modelsPath, checkPath } = PROVIDER_KINDS[provider.kind];
    const path = modelListPath(provider.dialect, (isCheck ? checkPath : modelsPath) ?? '/models', next);
    const call = toUpstreamCall(provider, key, { path, accept: 'application/json', sandbox: null });
    const exchange = this.#transport.send('GET', call);
    const watchdog = new Watchdog(exchange, timeoutMs);
    const leave = () => exchange.abort(new CancelledError('The list of models is not wanted any more.'));
    signal.addEventListener('abort', leave, { once: true });
    if (signal.aborted) leave();
    let status: number | null = null;
    try {
      const head = await exchange.head();
      status = head.status;
      const isAnswer = status >= 200 && status < 300;
      const body = await readAll(exchange, isAnswer ? LARGEST_PAGE : LARGEST_ERROR);
      const text = body?.toString('utf8') ?? '';
      if (!isAnswer) return readFailure(status, head.headers, text, place);
      if (!body) return broken('sent a list of models larger than 8 MiB', place);
      return isCheck && checkPath !== modelsPath ? NO_MODELS : readModelPage(provider.dialect, text);
    } catch (error) {
      if (error instanceof MalformedAnswer) return broken(error.message, place);
      return toBreak(error, place, status);
    } finally {
      watchdog.stop();
      signal.removeEventListener('abort', leave);
      exchange.abort(new CancelledError('The list of models was read.'));
    }
  }
}

function broken(what: string, { provider }: AttemptPlace): Failure {
  const error = new UpstreamError(`${provider} ${what}.`, { provider, upstreamStatus: 200, attempts: 1 });
  return { error, remedy: 'OTHER_TARGET', key: null, retryAfterMs: null, upstreamStatus: 200 };
}
