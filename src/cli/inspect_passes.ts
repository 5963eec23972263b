import { scratchOf } from '../exec/plan.ts';
import { bytesMoved } from '../exec/traffic.ts';
import { type DiffLine, graphDiff } from '../graph/diff.ts';
import type { Graph } from '../graph/ir.ts';
import { choosePasses, type PassChoice } from '../graph/passes/index.ts';
import type { Pass } from '../graph/passes/pass.ts';
import { plural, printable, showBytes, showCount, table } from './format.ts';

/** What programs get. */
export interface PassReport {
  readonly name: string;
  readonly numerics: Pass['numerics'];
  /** Whether the graph changed. */
  readonly fired: boolean;
  /** How many nodes of each op. */
  readonly opsBefore: Readonly<Record<string, number>>;
  readonly opsAfter: Readonly<Record<string, number>>;
  /** See bytesMoved (exec/traffic.ts): one decoded token. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

/** What people get besides. */
export interface PassStep {
  readonly report: PassReport;
  readonly diff: readonly DiffLine[];
}

/** Runs the chosen passes one by one and looks at the graph around each. */
export function passSteps(graph: Graph, choice: PassChoice): PassStep[] {
  const steps: PassStep[] = [];
  let before = graph;
  for (const pass of choosePasses(choice)) {
    const after = pass.apply(before);
    const diff = graphDiff(before, after);
    const report = {
      name: pass.name,
      numerics: pass.numerics,
      fired: diff.length > 0,
      opsBefore: countOps(before),
      opsAfter: countOps(after),
      bytesBefore: bytesMoved(before),
      bytesAfter: bytesMoved(after),
    };
    steps.push({ report, diff });
    before = after;
  }
  return steps;
}

/** A block for each pass: what changed in the text of the first layer, the ops whose number changed, the totals. */
export function passesText(steps: readonly PassStep[]): string {
  return steps
    .map(({ report, diff }) => `${headline(report)}\n${diffText(diff)}${table(changes(report), [1, 2])}`)
    .join('\n');
}

function headline({ name, numerics, fired }: PassReport): string {
  return `${name} (${numerics})${fired ? '' : ': found nothing to change'}`;
}

/** Layers repeat: the lines of the first one that changed, and how many more there are. */
function diffText(diff: readonly DiffLine[]): string {
  const layerOf = (line: DiffLine): string | undefined => /^blk\.\d+\./.exec(line.name)?.[0];
  const first = diff.map(layerOf).find((layer) => layer !== undefined);
  const shown = diff.filter((line) => layerOf(line) === undefined || layerOf(line) === first);
  const lines = shown.map(({ sign, text }) => `  ${sign} ${printable(text)}\n`).join('');
  const more = diff.length - shown.length;
  return more === 0 ? lines : `${lines}    ... and ${plural(more, 'line')} of other layers\n`;
}

function changes({ opsBefore, opsAfter, bytesBefore, bytesAfter }: PassReport): string[][] {
  const ops = [...new Set([...Object.keys(opsBefore), ...Object.keys(opsAfter)])].sort();
  const row = (name: string, before: string, after: string): string[] => [`  ${name}`, before, `-> ${after}`];
  const count = (name: string, before: number, after: number) => row(name, showCount(before), showCount(after));
  const changed = ops.filter((op) => opsBefore[op] !== opsAfter[op]);
  return [
    ...changed.map((op) => count(op, opsBefore[op] ?? 0, opsAfter[op] ?? 0)),
    count('all nodes', total(opsBefore), total(opsAfter)),
    row('bytes moved', showBytes(bytesBefore), showBytes(bytesAfter)),
  ];
}

/** Scratch of one token after 511 others, and of 128 of them: what the planner gives beside a buffer for each value. */
export function scratchText(graph: Graph): string {
  const rows = [1, 128].map((nTokens) => {
    const sizes = { T: nTokens, R: 1, attendCells: nTokens * 512 };
    const { planned, apart, nValues } = scratchOf(graph, sizes);
    const share = `${((100 * planned) / apart).toFixed(1)} %`;
    return [
      `  ${plural(nTokens, 'token')}`,
      showBytes(planned),
      `of ${showBytes(apart)}`,
      share,
      plural(nValues, 'value'),
    ];
  });
  return `scratch after planning, and with a buffer for each value\n${table(rows, [1, 2, 3, 4])}`;
}

function countOps(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of graph.nodes) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0);
}
