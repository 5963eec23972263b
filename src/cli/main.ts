#!/usr/bin/env node
import { run } from './run.ts';
import { createProcessIo } from './terminal.ts';

// `using` needs these symbols, which Node has since 20.5.1; the names are those that Node gives them.
const symbols: { dispose?: symbol; asyncDispose?: symbol } = Symbol;
symbols.dispose ??= Symbol.for('nodejs.dispose');
symbols.asyncDispose ??= Symbol.for('nodejs.asyncDispose');

// No process.exit: what is still in the pipes must get out.
process.exitCode = await run(process.argv.slice(2), createProcessIo());
