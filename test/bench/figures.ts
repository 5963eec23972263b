import { type Spread, spreadOf } from './measure.ts';

/** What a figure has to reach, said beside it and never asserted: machines differ. */
export type Target = { readonly atLeast: number } | { readonly atMost: number };

/** One measured number. `what` names it in every run's results, so that runs stand side by side. */
export interface Figure {
  readonly what: string;
  readonly unit: string;
  readonly spread: Spread;
  readonly target?: Target | undefined;
  /** Why there is no number: told in its place. */
  readonly missing?: string | undefined;
}

export interface Table {
  readonly title: string;
  /** What was run, in a sentence or two. */
  readonly note: string;
  readonly figures: readonly Figure[];
  /** Why something was left out: named, not silent. */
  readonly skipped?: string | undefined;
}

/** A part of the program: `--only` takes its name. */
export interface Section {
  readonly name: string;
  run(pace: Pace): Promise<Table>;
}

/** `quick`: fewer turns, for a look while something is changed. */
export interface Pace {
  readonly quick: boolean;
}

export function figure(what: string, unit: string, values: readonly number[], target?: Target): Figure {
  return { what, unit, spread: spreadOf(values), target };
}

/** A row that could not be measured. Its NaNs reach no target. */
export function missingFigure(what: string, unit: string, missing: string, target?: Target): Figure {
  return { what, unit, spread: { median: NaN, min: NaN, max: NaN }, target, missing };
}

export function isReached({ spread, target }: Figure): boolean | undefined {
  if (target === undefined) return undefined;
  return 'atLeast' in target ? spread.median >= target.atLeast : spread.median <= target.atMost;
}

/** Three significant digits, and no exponent. */
export function showNumber(x: number): string {
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(x) || 1)));
  return x.toFixed(Math.min(digits, 4));
}

/** The number, and whether it reaches its target; or why there is none. */
export function showFigure(f: Figure): string {
  if (f.missing !== undefined) return `not measured: ${f.missing}`;
  const reached = isReached(f);
  return showSpread(f.spread) + (reached === undefined ? '' : reached ? ', reached' : ', **not reached**');
}

/** "58.1 (55.0-60.2)"; a figure that cannot vary is one number. */
export function showSpread({ median, min, max }: Spread): string {
  if (min === max) return showNumber(median);
  return `${showNumber(median)} (${showNumber(min)}–${showNumber(max)})`;
}

export function showTarget(target: Target | undefined): string {
  if (target === undefined) return '';
  return 'atLeast' in target ? `≥ ${target.atLeast}` : `≤ ${target.atMost}`;
}

/** A table for a terminal. */
export function showTable(table: Table): string {
  const lines = table.figures.map((f) => {
    const target = f.target === undefined ? '' : `  (${showTarget(f.target)})`;
    return `  ${f.what.padEnd(58)} ${f.unit.padEnd(8)} ${showFigure(f)}${target}`;
  });
  const skipped = table.skipped === undefined ? [] : [`  skipped: ${table.skipped}`];
  return `${[table.title, ...lines, ...skipped].join('\n')}\n\n`;
}
