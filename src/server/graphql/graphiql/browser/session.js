import { codeOf, send } from './api.js';

/** Of this browser tab alone, and gone with it. */
const KEY = 'signalbox:session';
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const LOG_IN = `mutation ($input: LogInInput!) {
  logIn(input: $input) { ... on LogInSuccess { token } ... on Error { message } ... on ValidationError { issues { message } } }
}`;

/**
 * @typedef {{ authorization: string, who: string, expiresAt: number | null }} SignedIn
 * `authorization` is the header; `who`, for people; `expiresAt`, in ms since 1970, null: never.
 */

/** Who is signed in. Fires `change` when somebody signs in or out, and when a credential stops working. */
export class Session extends EventTarget {
  /** @type {SignedIn | null} */
  current = null;
  /** Why nobody is signed in any more, in a sentence. */
  notice = '';
  /** @type {number | undefined} */
  #timer;

  /** Takes up what this browser tab was signed in with before it was loaded again. */
  async restore() {
    const stored = JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
    if (stored) {
      this.#set(stored);
      await this.check();
    }
  }

  /**
   * @param {string} email
   * @param {string} password
   * @throws Error with a sentence for people
   */
  async logIn(email, password) {
    const result = await send({ query: LOG_IN, variables: { input: { email, password } } });
    const { token, message, issues } = result.data?.logIn ?? {};
    if (!token) throw new Error(issues?.[0]?.message ?? message ?? sentenceOf(result));
    await this.use(token);
  }

  /**
   * Signs in with a token or an API key, with or without `Bearer` in front.
   * @param {string} credential
   * @throws Error with a sentence for people
   */
  async use(credential) {
    const token = credential.trim().replace(/^bearer\s+/i, '');
    if (!/^[\x21-\x7e]+$/.test(token)) throw new Error('A token has no spaces and no special characters.');
    const authorization = `Bearer ${token}`;
    const { who, problem } = await identify(authorization);
    if (!who) throw new Error(problem);
    this.#set({ authorization, who, expiresAt: expiryOf(token) });
  }

  signOut() {
    this.#set(null);
  }

  /** Asks the server whether the credential still works, and signs out if not. */
  async check() {
    const checked = this.current;
    if (!checked) return;
    const { code, problem } = await identify(checked.authorization);
    if (code === 'UNAUTHENTICATED' && this.current === checked) this.#set(null, problem);
  }

  /**
   * @param {SignedIn | null} next
   * @param {string} [notice]
   */
  #set(next, notice = '') {
    this.current = next;
    this.notice = notice;
    if (next) sessionStorage.setItem(KEY, JSON.stringify(next));
    else sessionStorage.removeItem(KEY);
    clearTimeout(this.#timer);
    if (next?.expiresAt) {
      const left = Math.max(next.expiresAt - Date.now(), 0) + 1_000;
      this.#timer = setTimeout(() => this.check(), Math.min(left, LONGEST_TIMER_MS));
    }
    this.dispatchEvent(new Event('change'));
  }
}

/**
 * Asks the server who a credential belongs to.
 * @param {string} authorization
 * @returns {Promise<{ who?: string, problem?: string, code?: string | undefined }>}
 */
async function identify(authorization) {
  const result = await send({ query: '{ me { email role } }' }, { authorization });
  const me = result.data?.me;
  if (me) return { who: `${me.email} (${me.role})` };
  const code = codeOf(result);
  // Keys that are not for the control plane may still send completions.
  if (code === 'FORBIDDEN') return { who: 'an API key for completions only' };
  return { code, problem: sentenceOf(result) };
}

/** @param {import('./api.js').Result} result */
function sentenceOf(result) {
  return result.errors?.[0]?.message ?? 'That did not work. Try again.';
}

/** @param {string} token */
function expiryOf(token) {
  const [, claims = ''] = token.split('.');
  try {
    const { exp } = JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/')));
    return typeof exp === 'number' ? exp * 1_000 : null;
  } catch {
    // An API key, which says nothing about itself.
    return null;
  }
}
