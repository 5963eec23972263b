import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { showFigure, showTarget, type Table } from './figures.ts';

/** The runs of "npm run bench", and those of "npm run bench:peers". */
const JSON_FILES = {
  own: new URL('results.json', import.meta.url),
  peers: new URL('peer_results.json', import.meta.url),
};
const DOC_FILE = new URL('../../docs/benchmarks.md', import.meta.url);
const START = '<!-- written by "npm run bench": what stands below is replaced -->';

/** One run of the whole program. */
export interface BenchRun {
  readonly label: string;
  readonly date: string;
  readonly cpu: string;
  readonly node: string;
  readonly v8: string;
  readonly packages: Readonly<Record<string, string>>;
  readonly tables: readonly Table[];
}

export function describeRun(
  label: string,
  tables: readonly Table[],
  versions: { readonly node: string; readonly v8: string } = process.versions,
): BenchRun {
  const models = cpus();
  return {
    label,
    date: new Date().toISOString().slice(0, 10),
    cpu: `${models[0]?.model.trim() ?? 'unknown'}, ${models.length} cores`,
    node: versions.node,
    v8: versions.v8,
    packages: packageVersions(),
    tables,
  };
}

/** Replaces the run of the same label in a file of runs. Gives all runs that are there then, by label. */
export function storeRun(file: URL, run: BenchRun): BenchRun[] {
  const others = readRuns(file).filter((other) => other.label !== run.label);
  const runs = [...others, run].sort((a, b) => a.label.localeCompare(b.label, 'en', { numeric: true }));
  writeFileSync(file, `${JSON.stringify(runs, undefined, 1)}\n`);
  return runs;
}

/** The runs of a file, none where it is not there. */
export function readRuns(file: URL): BenchRun[] {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as BenchRun[]) : [];
}

/** Stores runs in results.json, or in peer_results.json, and writes docs/benchmarks.md from all that are in both. */
export function writeReport(kind: keyof typeof JSON_FILES, runs: readonly BenchRun[]): void {
  for (const run of runs) storeRun(JSON_FILES[kind], run);
  const before = existsSync(DOC_FILE) ? readFileSync(DOC_FILE, 'utf8').split(START)[0]! : INTRODUCTION;
  const own = renderRuns('Runs', readRuns(JSON_FILES.own));
  const peers = readRuns(JSON_FILES.peers);
  const parts = peers.length === 0 ? [own] : [renderRuns('Beside other engines', peers), own];
  writeFileSync(DOC_FILE, `${before}${START}\n\n${parts.join('\n')}`);
}

/** The part of docs/benchmarks.md that the program writes. */
export function renderRuns(heading: string, runs: readonly BenchRun[]): string {
  const machines = markdownTable(
    ['run', 'date', 'CPU', 'Node', 'V8', 'packages'],
    runs.map((r) => [r.label, r.date, r.cpu, r.node, r.v8, showPackages(r.packages)]),
  );
  const titles = [...new Set(runs.flatMap((r) => r.tables.map((t) => t.title)))];
  return [`## ${heading}`, machines, ...titles.map((title) => renderTable(title, runs))].join('\n\n').concat('\n');
}

/** One table of all runs, a column each. */
function renderTable(title: string, runs: readonly BenchRun[]): string {
  const tables = runs.map((r) => r.tables.find((t) => t.title === title));
  const notes = [...new Set(tables.flatMap((t) => (t === undefined ? [] : [t.note])))];
  const rows = [...new Set(tables.flatMap((t) => t?.figures.map((f) => f.what) ?? []))];
  const table = markdownTable(
    ['', 'unit', 'target', ...runs.map((r) => r.label)],
    rows.map((what) => {
      const figures = tables.map((t) => t?.figures.find((f) => f.what === what));
      const any = figures.find((f) => f !== undefined)!;
      return [
        what,
        any.unit,
        showTarget(any.target),
        ...figures.map((f) => (f === undefined ? 'not measured' : showFigure(f))),
      ];
    }),
  );
  const skipped = runs.flatMap((r, i) =>
    tables[i]?.skipped === undefined ? [] : [`Skipped in ${r.label}: ${tables[i].skipped}.`],
  );
  return [`## ${title}`, ...notes, table, ...skipped].join('\n\n');
}

function showPackages(packages: Readonly<Record<string, string>>): string {
  return Object.entries(packages)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
}

function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** Of what the figures depend on: this package, the compiler of the kernels, the peers. */
function packageVersions(): Record<string, string> {
  const { dependencies } = JSON.parse(readFileSync(new URL('../peers/package.json', import.meta.url), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  const versions: Record<string, string> = {};
  for (const [name, path] of [
    ['glassformer', '../..'],
    ['assemblyscript', '../../node_modules/assemblyscript'],
    ...Object.keys(dependencies).map((name) => [name, `../peers/node_modules/${name}`] as const),
  ] as const) {
    const file = new URL(`${path}/package.json`, import.meta.url);
    versions[name] = existsSync(file)
      ? (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
      : 'not installed';
  }
  return versions;
}

const INTRODUCTION = `# Benchmarks

How fast the engine is, beside what the machine can do at most, beside another engine, and beside its own definition.

\`\`\`sh
npm ci --prefix test/peers                 # the engines to compare with; without them their rows are skipped
npm run bench                              # all of it, about fifteen minutes; writes the tables below
npm run bench -- --only gemm,sizes --quick # a look at some of it; writes nothing
npm run bench -- --only ladder             # the steps of docs/kernels.md; writes its tables
npm run bench -- --node /path/to/node      # under another Node, as a column of its own
npm run bench:peers                        # beside other engines, about twenty minutes; writes the tables below
npm run bench:peers -- --only native --quick
\`\`\`

Everything that is compared runs in the same process, in turns (A B C A B C ...), and a ratio is taken within a turn. A
figure is the median over all turns, with the smallest and the largest in brackets. A run's time is the time on the clock or
the time of this process on a processor, whichever is less, so that other programs on the machine do not count. Nothing here
is a test: a target is told as reached or not, on the machine that is named.

Beside other engines, each engine has a process of its own, which waits while the others run; they are called in turns on the
same files. llama.cpp runs as it is fastest: its prebuilt library for this processor, flash attention, batches of 512, and no
sampling. With one thread a time is again the lesser of the clock's and the processor's; with two it is the clock's, on both
sides of a ratio, so those rows want a machine with nothing else to do.

Models have random weights, none of them subnormal, in the shapes of published models (\`src/load/random_gguf.ts\`); they are
kept under \`node_modules/.cache\`. The limits come from \`kernels/ladder\`: multiplications and additions in registers alone, and
one core reading memory.

`;
