import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** A Node to run Glassformer under; its label is a column of the report. */
export interface NodeProgram {
  readonly label: string;
  readonly path: string;
  /** The flag with which its V8 makes 256-bit vectors, where it is right with it: docs/decisions/0064-wide-vectors.md. */
  readonly wideFlag?: string;
}

/** What `npm run install:hosts` installs. */
const INSTALLED = fileURLToPath(new URL('../hosts/runtimes/node_modules/', import.meta.url));
const NEWEST_FIRST = [26, 24];
const OLDEST = 20;
const WIDE_MAJOR = 26;
const WIDE_FLAG = '--experimental-wasm-revectorize';

/** The newest Node that is installed for the hosts' tests, and Node 20; the Node that runs this, where none is. */
export function defaultNodes(): NodeProgram[] {
  const newest = NEWEST_FIRST.map(installed).find(existsSync);
  const oldest = installed(OLDEST);
  const paths = [...(newest === undefined ? [process.execPath] : [newest]), ...(existsSync(oldest) ? [oldest] : [])];
  return paths.map(nodeAt);
}

/** The program at `path`, by its own word on its version. Throws where it cannot be run. */
export function nodeAt(path: string): NodeProgram {
  const version = execFileSync(path, ['--version'], { encoding: 'utf8' });
  const major = Number(/^v(\d+)/.exec(version)![1]);
  return { label: `Node ${major}`, path, ...(major === WIDE_MAJOR && { wideFlag: WIDE_FLAG }) };
}

function installed(major: number): string {
  return `${INSTALLED}node-${major}/bin/node`;
}

const FIRST_WITH_TYPESCRIPT = 24;

/** What the Node at `path` needs to run TypeScript: the newer ones do by themselves, without what tsx takes in time and memory. */
export function flagsOf(path: string): string[] {
  const version = execFileSync(path, ['--version'], { encoding: 'utf8' });
  const major = Number(/^v(\d+)/.exec(version)![1]);
  return major >= FIRST_WITH_TYPESCRIPT ? [] : ['--import', import.meta.resolve('tsx')];
}
