import { EXAMPLES } from './examples.js';

/**
 * The bar above GraphiQL: who is signed in, the forms to sign in with, and the examples.
 * @param {import('./session.js').Session} session
 */
export function showBar(session) {
  const show = () => showSession(session);
  session.addEventListener('change', show);
  show();

  onSubmit('password-form', ({ email = '', password = '' }) => session.logIn(email, password));
  onSubmit('token-form', ({ token = '' }) => session.use(token));
  element('sign-out').addEventListener('click', () => {
    session.signOut();
    document.querySelector('input')?.focus();
  });
  listExamples();
}

/** @param {import('./session.js').Session} session */
function showSession({ current, notice }) {
  element('signed-out').hidden = current !== null;
  element('signed-in').hidden = current === null;
  element('who').textContent = current?.who ?? '';
  const until = current?.expiresAt ? new Date(current.expiresAt) : null;
  element('until').textContent = until
    ? `, until ${until.toLocaleString([], { dateStyle: 'short', timeStyle: 'short' })}`
    : '';
  element('notice').textContent = notice;
}

/**
 * @param {string} id
 * @param {(fields: Record<string, string>) => Promise<void>} act rejects with a sentence for people
 */
function onSubmit(id, act) {
  const form = /** @type {HTMLFormElement} */ (element(id));
  const button = /** @type {HTMLButtonElement} */ (form.querySelector('button'));
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    element('notice').textContent = '';
    button.disabled = true;
    try {
      await act(/** @type {Record<string, string>} */ (Object.fromEntries(new FormData(form))));
      for (const each of document.forms) each.reset();
      element('sign-out').focus();
    } catch (error) {
      element('notice').textContent = /** @type {Error} */ (error).message;
    } finally {
      button.disabled = false;
    }
  });
}

function listExamples() {
  const menu = /** @type {HTMLDetailsElement} */ (element('examples'));
  const list = /** @type {HTMLUListElement} */ (menu.querySelector('ul'));
  for (const { name, title } of EXAMPLES) {
    const link = document.createElement('a');
    link.href = `?example=${name}`;
    link.textContent = title;
    list.appendChild(document.createElement('li')).append(link);
  }
  document.addEventListener('click', ({ target }) => {
    if (!menu.contains(/** @type {Node} */ (target))) menu.open = false;
  });
  menu.addEventListener('keydown', ({ key }) => {
    if (key !== 'Escape') return;
    menu.open = false;
    menu.querySelector('summary')?.focus();
  });
}

/** @param {string} id */
function element(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}
