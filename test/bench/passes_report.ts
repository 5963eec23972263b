import { readFileSync, writeFileSync } from 'node:fs';
import { table } from '../../docs/scripts/number_text.ts';
import { writeRegions } from '../../docs/scripts/regions.ts';
import { showNumber, showSpread } from './figures.ts';
import { PASS_FIGURES } from './passes_section.ts';
import { type BenchRun, readRuns, storeRun } from './report.ts';

/** Runs of the ablation have a file of their own, as the ladder's have. */
const JSON_FILE = new URL('passes_results.json', import.meta.url);
const DOC_FILE = new URL('../../docs/graph.md', import.meta.url);

/** Stores a run, and writes the region of docs/graph.md that comes from runs. */
export async function writePasses(run: BenchRun): Promise<void> {
  storeRun(JSON_FILE, run);
  const regions = passRegions();
  writeFileSync(DOC_FILE, await writeRegions(readFileSync(DOC_FILE, 'utf8'), async (name) => regions.get(name)));
}

/** That region, from the stored runs. */
export function passRegions(): ReadonlyMap<string, string> {
  return new Map([['ablation', renderPasses(readRuns(JSON_FILE))]]);
}

/** For each run a line for each choice of passes: medians, and the smallest and the largest ratio. */
export function renderPasses(runs: readonly BenchRun[]): string {
  if (runs.length === 0) return 'No run is stored yet.';
  return runs.map((run) => `${run.label}, ${run.cpu}, ${run.date}:\n\n${renderRun(run)}`).join('\n\n');
}

function renderRun(run: BenchRun): string {
  const figures = new Map(run.tables.flatMap((t) => t.figures).map((f) => [f.what, f.spread]));
  const prefix = PASS_FIGURES.nodes('');
  const variants = [...figures.keys()]
    .filter((what) => what.startsWith(prefix))
    .map((what) => what.slice(prefix.length));
  const median = (what: string): string => {
    const spread = figures.get(what);
    return spread === undefined ? '' : showNumber(spread.median);
  };
  const ratio = (what: string): string => {
    const spread = figures.get(what);
    return spread === undefined ? '' : showSpread(spread);
  };
  const rows = variants.map((variant) => [
    variant,
    median(PASS_FIGURES.decode(variant)),
    ratio(PASS_FIGURES.decodeRatio(variant)),
    ratio(PASS_FIGURES.prefillRatio(variant)),
    median(PASS_FIGURES.nodes(variant)),
    median(PASS_FIGURES.bytes(variant)),
    median(PASS_FIGURES.scratch(variant)),
  ]);
  const head = ['passes', 'decode, ms', 'decode / all', 'prefill / all', 'nodes', 'bytes moved, MB', 'scratch, kB'];
  return table(head, rows);
}
