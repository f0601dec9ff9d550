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

const link = takeLink();
globals.YogaGraphiQL.renderYogaGraphiQL(document.getElementById('graphiql'), {
  fetcher: createFetcher(session),
  // For those who have no tabs from an earlier visit.
  defaultTabs: [...(link ? [link] : []), ...EXAMPLES],
  ...(link ?? openTab()),
  // Headers may hold credentials, which are not written down.
  shouldPersistHeaders: false,
  // Queries stay out of the address: they may hold what is not for its history.
  onEditQuery() {},
  title: '',
  logo: '',
});

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
