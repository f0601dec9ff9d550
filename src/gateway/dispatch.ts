import { CancelledError, invalid, UpstreamTimeoutError, ValidationError } from '../platform/errors.ts';
import type { Settings } from '../platform/settings.ts';
import type { Asked } from './admission/admit.ts';
import { sandboxControls } from './asked.ts';
import type { Attempt } from './attempt.ts';
import { type RelayRules, receiveBody, receiveStream, type StreamPart, type WholeAnswer } from './relay.ts';
import type { Target } from './routing/candidates.ts';
import { choiceOf, type Run } from './run.ts';
import { toUpstreamCall } from './upstream/call.ts';
import type { ChatCall, DialectCall, InlineImage } from './upstream/dialect.ts';
import { DIALECTS } from './upstream/dialects.ts';
import { RemoteImages } from './upstream/remote-images.ts';
import type { Transport } from './upstream/transport.ts';
import { Watchdog } from './upstream/watchdog.ts';

/** A request in the words of a dialect. */
export type Call = ChatCall | DialectCall;

const NO_IMAGES: ReadonlyMap<string, InlineImage> = new Map();

/** Says requests in the dialects of their targets, and makes the upstream calls. */
export class Dispatcher {
  readonly #transport: Transport;
  readonly #limits: Pick<Settings, 'firstTokenTimeoutMs' | 'stallTimeoutMs'>;
  readonly #images = new RemoteImages();

  constructor(transport: Transport, limits: Pick<Settings, 'firstTokenTimeoutMs' | 'stallTimeoutMs'>) {
    this.#transport = transport;
    this.#limits = limits;
  }

  async close(): Promise<void> {
    await this.#images.close();
  }

  /** The request in the words of the target's dialect; the error when those cannot say it. */
  async prepare(run: Run, { model, provider }: Target, asked: Asked): Promise<Call | ValidationError> {
    const { isStreamed, wantsUsage } = run.admitted;
    const dialect = DIALECTS[provider.dialect];
    const facts = { kind: provider.kind, model, requestId: run.requestId, startedAt: run.origin.startedAt };
    try {
      if (!('chat' in asked)) return dialect.prepareEmbeddings({ body: asked, ...facts });
      const addresses = dialect.remoteImages(asked);
      const images = addresses.length > 0 ? await this.#fetchImages(run, addresses) : NO_IMAGES;
      return dialect.prepare({ body: asked, isStreamed, wantsUsage, images, ...facts });
    } catch (error) {
      if (error instanceof ValidationError) return error;
      // What JSON.parse reads at any depth, JSON.stringify writes only down to the end of the stack.
      if (error instanceof RangeError) return invalid('', 'The request is nested too deeply for this provider.');
      throw error;
    }
  }

  /**
   * Makes one upstream call and yields its answer: parts of a stream, or the whole body. Whoever stops reading ends the
   * call.
   * @throws what `toFailure` understands
   */
  async *send(run: Run, attempt: Attempt, call: Call): AsyncGenerator<StreamPart | WholeAnswer, void, undefined> {
    // Meanwhile the intent was written down.
    if (run.cancelled) throw run.cancelled;
    const { provider, key } = attempt;
    const { asked, isStreamed } = run.admitted;
    const route = choiceOf(run.admitted)?.route;
    const reader = isStreamed && 'openStream' in call ? call.openStream() : null;
    const isTranslated = provider.kind === 'SANDBOX' && provider.dialect !== 'OPENAI';
    const accept = reader ? 'text/event-stream' : 'application/json';
    const sandbox = isTranslated ? sandboxControls(asked, run.request.sandbox) : run.request.sandbox;
    attempt.isSent = true;
    if (run.probe) run.probe.isSent = true;
    const exchange = this.#transport.send(
      'POST',
      toUpstreamCall(provider, key, { path: call.path, body: call.body, accept, sandbox }),
    );
    const watchdog = watch(run, attempt, exchange);
    const rules: RelayRules = {
      stallMs: route?.stallTimeoutMs ?? this.#limits.stallTimeoutMs,
      firstSeq: run.nextSeq,
      passesOnRefusals: route?.refusalPolicy === 'OTHER_TARGET',
    };
    run.exchange = exchange;
    let isComplete = false;
    try {
      if (reader) {
        watchdog.arm('FIRST_TOKEN', route?.firstTokenTimeoutMs ?? this.#limits.firstTokenTimeoutMs);
        yield* receiveStream(exchange, reader, attempt, watchdog, rules);
      } else {
        yield await receiveBody(exchange, call, attempt, rules);
      }
      isComplete = true;
    } finally {
      watchdog.stop();
      run.exchange = null;
      if (!isComplete) exchange.abort(run.cancelled ?? new CancelledError('The attempt has ended.'));
    }
  }

  /**
   * Once for all attempts, also when it fails. Leaving ends it, as it ends a call to a provider, and so does the route's
   * limit over all attempts.
   */
  #fetchImages(run: Run, addresses: readonly string[]): Promise<ReadonlyMap<string, InlineImage>> {
    run.images ??= this.#fetchInTime(run, addresses);
    return run.images;
  }

  async #fetchInTime(run: Run, addresses: readonly string[]): Promise<ReadonlyMap<string, InlineImage>> {
    const ending = new AbortController();
    run.exchange = { abort: (reason) => ending.abort(reason) };
    if (run.cancelled) ending.abort(run.cancelled);
    const { deadline } = run;
    const timer = deadline === null ? undefined : setTimeout(() => ending.abort(tooSlow(run)), deadline - Date.now());
    try {
      return await this.#images.fetch(addresses, ending.signal);
    } finally {
      clearTimeout(timer);
      run.exchange = null;
    }
  }
}

function tooSlow({ deadline, origin, reports }: Run): UpstreamTimeoutError {
  const seconds = ((deadline ?? 0) - origin.startedAt) / 1_000;
  const message = `The images that the request names by address could not be fetched within ${seconds} s.`;
  return new UpstreamTimeoutError(message, 'TOTAL', reports.length);
}

/** Over the whole call: the provider's limit, or what is left of the route's. */
function watch(run: Run, { provider }: Attempt, exchange: ConstructorParameters<typeof Watchdog>[0]): Watchdog {
  const left = run.deadline === null ? Number.POSITIVE_INFINITY : Math.max(1, run.deadline - Date.now());
  if (left >= provider.timeoutMs || run.deadline === null) return new Watchdog(exchange, provider.timeoutMs);
  return new Watchdog(exchange, left, run.deadline - run.origin.startedAt);
}
