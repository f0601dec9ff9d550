// The server as `npm start` runs it, without the set-up.
import { main } from '../../dist/main.js';

await main();
