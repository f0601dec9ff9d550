// `npm start`: sets up what is missing, then runs the server in this process.
import { exitOnSetupError, setUp } from './setup.mjs';

await setUp().catch(exitOnSetupError);
const { main } = await import(new URL('../../dist/main.js', import.meta.url).href);
await main();
