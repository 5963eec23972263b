#!/usr/bin/env node
import { run } from './run.ts';
import { createProcessIo } from './terminal.ts';

// No process.exit: what is still in the pipes must get out.
const exitCode = await run(process.argv.slice(2), createProcessIo());
process.exitCode ||= exitCode;
