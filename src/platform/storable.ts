/** Postgres stores neither NUL nor half a surrogate pair. */
const UNSTORABLE = /[\0\p{Cs}]/gu;

/** A text as Postgres takes it, also to compare it with: what it does not store becomes U+FFFD. */
export function storable(text: string): string {
  return text.replace(UNSTORABLE, '\ufffd');
}
