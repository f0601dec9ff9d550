import { showBar } from './bar.js';
import { EXAMPLES } from './examples.js';
import { createFetcher } from './fetcher.js';
import { globals } from './globals.js';
import { Session } from './session.js';

globals.MonacoEnvironment = {
  getWorkerUrl: (_module, label) => new URL(`./${label}.worker.js`, import.meta.url).href,
};

const session = new Session();
const restored = session.restore();
showBar(session);
await restored;

const root = /** @type {HTMLElement} */ (document.getElementById('graphiql'));
const link = takeLink();
globals.YogaGraphiQL.renderYogaGraphiQL(root, {
  fetcher: createFetcher(session),
  // For those who have no tabs from an earlier visit.
  defaultTabs: [...(link ? [link] : []), ...EXAMPLES.filter(({ isTab }) => isTab)],
  ...(link ?? openTab()),
  // Headers may hold credentials, which are not written down.
  shouldPersistHeaders: false,
  defaultEditorToolsVisibility: false,
  // Queries stay out of the address: they may hold what is not for its history.
  onEditQuery() {},
  title: '',
  logo: '',
});
showOpenTab();

/**
 * The operation that the address asks for, as `?query=` or `?example=`. It is removed from there, so that loading the
 * page again does not open it again.
 */
function takeLink() {
  const parameters = new URLSearchParams(location.search);
  history.replaceState(null, '', location.pathname);
  const example = EXAMPLES.find(({ name }) => name === parameters.get('example'));
  const query = parameters.get('query') ?? example?.query;
  // Empty instead of absent, for which GraphiQL would take those of the tab that was open last.
  return query ? { query, variables: parameters.get('variables') ?? '' } : null;
}

/** The tab that was open last. GraphiQL itself would open an empty one beside it, unless its text was changed. */
function openTab() {
  try {
    const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem('graphiql:tabState') ?? '');
    const { query, variables } = tabs[activeTabIndex];
    return { query: query ?? '', variables: variables ?? '' };
  } catch {
    // The first visit.
    return null;
  }
}

/** Brings the open tab into view, which GraphiQL leaves where it is among many. */
function showOpenTab() {
  const observer = new MutationObserver(() => {
    const tab = root.querySelector('.graphiql-tab-active');
    if (!tab) return;
    observer.disconnect();
    tab.scrollIntoView({ inline: 'nearest' });
  });
  observer.observe(root, { childList: true, subtree: true });
}
