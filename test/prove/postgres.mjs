// A Postgres of its own, as one on another machine would be: it prints where it is, and runs until it is killed.
import { openDataDir } from '../../dist/platform/data-dir.js';
import { startEmbeddedPostgres } from '../../dist/platform/database/embedded.js';
import { createLog } from '../../dist/platform/log.js';

const dataDir = process.argv[2];
await openDataDir(dataDir, { isShared: false });
const { connection } = await startEmbeddedPostgres({ dataDir, log: createLog({ logLevel: 'error' }) });
const { host, port, user, database } = connection;
process.stdout.write(`postgresql://${user}@/${database}?host=${encodeURIComponent(host)}&port=${port}\n`);
setInterval(() => undefined, 60_000);
