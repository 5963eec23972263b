import { readFileSync, writeFileSync } from 'node:fs';
import { table } from '../../docs/scripts/number_text.ts';
import { writeRegions } from '../../docs/scripts/regions.ts';
import { type Figure, showNumber, showSpread } from './figures.ts';
import { FIGURES } from './ladder_section.ts';
import { STEP_NAMES } from './ladder_steps.ts';
import { type BenchRun, readRuns, storeRun } from './report.ts';

/** Runs of the ladder have a file of their own: they are measured alone too, on other days than the rest. */
const JSON_FILE = new URL('ladder_results.json', import.meta.url);
const DOC_FILE = new URL('../../docs/kernels.md', import.meta.url);

/** Stores a run, and writes the regions of docs/kernels.md that come from runs. */
export async function writeLadder(run: BenchRun): Promise<void> {
  storeRun(JSON_FILE, run);
  const regions = ladderRegions();
  const text = await writeRegions(readFileSync(DOC_FILE, 'utf8'), async (name) => regions.get(name));
  writeFileSync(DOC_FILE, text);
}

/** Those regions, from the stored runs. */
export function ladderRegions(): ReadonlyMap<string, string> {
  const runs = readRuns(JSON_FILE);
  return new Map([
    ['limits', renderLimits(runs)],
    ['ladder', renderLadder(runs)],
  ]);
}

/** The machine, and what it can do at most. */
export function renderLimits(runs: readonly BenchRun[]): string {
  const rows = runs.map((run) => [
    run.label,
    run.date,
    run.cpu,
    run.node,
    run.v8,
    showFigure(run, FIGURES.stream),
    showFigure(run, FIGURES.peak),
  ]);
  return table(['run', 'date', 'CPU', 'Node', 'V8', 'stream read, GB/s', 'f32 peak, GFLOP/s'], rows);
}

/** For each run one line a step: medians, and for what a step buys also the smallest and the largest ratio. */
export function renderLadder(runs: readonly BenchRun[]): string {
  return runs.map((run) => `${run.label}:\n\n${renderRun(run)}`).join('\n\n');
}

function renderRun(run: BenchRun): string {
  const median = (what: string): string => {
    const figure = find(run, what);
    return figure === undefined ? '' : showNumber(figure.spread.median);
  };
  const rows = STEP_NAMES.map((step) => [
    step,
    median(FIGURES.vector(step)),
    showFigure(run, FIGURES.vectorGain(step)),
    median(FIGURES.vectorBytes(step)),
    median(FIGURES.vectorShare(step)),
    median(FIGURES.matrix(step)),
    showFigure(run, FIGURES.matrixGain(step)),
    median(FIGURES.matrixShare(step)),
  ]);
  const head = [
    'step',
    'vector, GOP/s',
    'gain',
    'weights, GB/s',
    'of the stream',
    'matrix, GOP/s',
    'gain',
    'of the peak',
  ];
  return table(head, rows);
}

/** A step that the host could not run, and the gain of the first one, are empty. */
function showFigure(run: BenchRun, what: string): string {
  const figure = find(run, what);
  return figure === undefined ? '' : showSpread(figure.spread);
}

function find(run: BenchRun, what: string): Figure | undefined {
  return run.tables.flatMap(({ figures }) => figures).find((figure) => figure.what === what);
}
