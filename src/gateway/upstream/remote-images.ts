import { isIP } from 'node:net';
import { Agent, request } from 'undici';
import { invalid, shorten, type ValidationError } from '../../platform/errors.ts';
import type { InlineImage } from './dialect.ts';
import { isPublicAddress, PrivateAddressError, publicLookup } from './public-address.ts';

/** Of one request's images together. */
const LARGEST_TOTAL_BYTES = 20 * 1024 * 1024;
const MOST_IMAGES = 16;
const MOST_REDIRECTS = 3;
const LONGEST_MS = 10_000;

/**
 * Fetches the images that a client names by their address, for providers that take only their bytes. Only public
 * addresses are called, also behind a redirect: a client must not reach what this server can.
 */
export class RemoteImages {
  readonly #agent: Agent;
  readonly #allowsPrivate: boolean;

  /** @param options.allowsPrivate for tests, whose servers are on this machine */
  constructor(options: { allowsPrivate: boolean } = { allowsPrivate: false }) {
    this.#allowsPrivate = options.allowsPrivate;
    this.#agent = new Agent({
      connections: 32,
      connect: { timeout: 3_000, ...(options.allowsPrivate ? {} : { lookup: publicLookup }) },
    });
  }

  /**
   * All of them, at once, within 10 seconds and 20 MiB.
   * @throws ValidationError that names the address that could not be had
   * @throws the signal's reason when it is aborted meanwhile
   */
  async fetch(urls: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, InlineImage>> {
    if (urls.length > MOST_IMAGES) throw invalid('messages', `must name at most ${MOST_IMAGES} images by address`);
    const budget = { left: LARGEST_TOTAL_BYTES };
    const limit = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]);
    const fetched = await Promise.all(
      urls.map(async (url) => {
        try {
          return [url, await this.#fetchOne(url, limit, budget)] as const;
        } catch (error) {
          if (signal.aborted) throw signal.reason;
          throw error instanceof ImageError ? refuse(url, error.message) : refuse(url, 'could not be fetched');
        }
      }),
    );
    return new Map(fetched);
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #fetchOne(address: string, signal: AbortSignal, budget: { left: number }): Promise<InlineImage> {
    let url = this.#check(address);
    for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
      const answer = await request(url, { dispatcher: this.#agent, signal, headers: { accept: 'image/*' } }).catch(
        (error: Error) => {
          const cause = error instanceof PrivateAddressError ? error : error.cause;
          throw cause instanceof PrivateAddressError ? new ImageError('is not a public address') : error;
        },
      );
      const { location } = answer.headers;
      if (answer.statusCode >= 300 && answer.statusCode < 400 && typeof location === 'string') {
        await answer.body.dump();
        url = this.#check(URL.canParse(location, url) ? new URL(location, url).href : location);
        continue;
      }
      if (answer.statusCode !== 200) {
        await answer.body.dump();
        throw new ImageError(`was answered with HTTP ${answer.statusCode}`);
      }
      const mediaType =
        String(answer.headers['content-type'] ?? '')
          .split(';')[0]
          ?.trim()
          .toLowerCase() ?? '';
      if (!/^image\/[\w.+-]+$/.test(mediaType)) {
        await answer.body.dump();
        throw new ImageError('is not an image');
      }
      return { mediaType, data: (await readWithin(answer.body, budget)).toString('base64') };
    }
    throw new ImageError(`leads to more than ${MOST_REDIRECTS} other addresses`);
  }

  #check(address: string): URL {
    const url = URL.canParse(address) ? new URL(address) : null;
    if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) throw new ImageError('is not an http address');
    if (url.username || url.password) throw new ImageError('must not hold credentials');
    if (this.#allowsPrivate) return url;
    if (url.port !== '') throw new ImageError('must be at the usual port');
    // Names are looked at when they are looked up; addresses are not looked up.
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (isIP(host) && !isPublicAddress(host)) throw new ImageError('is not a public address');
    return url;
  }
}

/** Completes "The image at … ". */
class ImageError extends Error {}

function refuse(url: string, why: string): ValidationError {
  return invalid('messages', `The image at ${shorten(url)} ${why}.`);
}

async function readWithin(body: AsyncIterable<Buffer>, budget: { left: number }): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) {
    budget.left -= chunk.length;
    if (budget.left < 0) throw new ImageError('is too large: all images of a request may be 20 MiB together');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
