/** Events that stay in view behind the latest. */
const KEPT = 20;

/**
 * What GraphiQL shows of a subscription, which by itself is the latest event alone: that, its number, the text that a
 * completion has streamed so far, and the events before it, the newest first.
 */
export class Transcript {
  #count = 0;
  #streamed = '';
  /** @type {import('./api.js').Result | undefined} */
  #latest;
  /** @type {unknown[]} */
  #earlier = [];

  /** @param {import('./api.js').Result} result */
  add(result) {
    if (this.#latest) this.#earlier = [this.#latest.data ?? this.#latest, ...this.#earlier].slice(0, KEPT);
    this.#count += 1;
    this.#latest = result;
    const text = result.data?.completion?.text;
    if (typeof text === 'string') this.#streamed += text;
  }

  /** As it is now. */
  show() {
    return {
      event: this.#count,
      ...(this.#streamed && { streamed: this.#streamed }),
      ...this.#latest,
      ...(this.#earlier.length > 0 && { earlier: this.#earlier }),
    };
  }
}
