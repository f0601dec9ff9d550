// The server as `npm start` runs it, which counts the statements that its main thread sends to Postgres and tells them to
// its parent. With BENCH_LEDGER=off it keeps no ledger: what that costs is to be seen, and the product has no such switch.
import pg from 'pg';
import { start } from '../../dist/main.js';
import { readSettings } from '../../dist/platform/settings.js';

let statements = 0;
const { query } = pg.Client.prototype;
pg.Client.prototype.query = function (...parameters) {
  statements += 1;
  return query.apply(this, parameters);
};
process.on('message', () => process.send(statements));

const running = await start(readSettings(process.env));
if (process.env.BENCH_LEDGER === 'off') {
  const written = async () => undefined;
  Object.assign(running.services.ledger, { intend: written, settle: written, complete: written, record: () => true });
}
process.on('SIGTERM', async () => {
  await running.close();
  process.exit(0);
});
