#!/usr/bin/env node
// `npx signalbox`: sets up what is missing, then runs a command in this process.
import { exitOnSetupError, setUp } from './setup.mjs';

await setUp().catch(exitOnSetupError);
const { run } = await import(new URL('../../dist/cli/signalbox.js', import.meta.url).href);
process.exitCode = await run(process.argv.slice(2));
