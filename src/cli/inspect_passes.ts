import type { Graph } from '../graph/ir.ts';
import { PASSES } from '../graph/passes/index.ts';
import type { Pass } from '../graph/passes/pass.ts';
import { graphText } from '../graph/text.ts';
import { table } from './format.ts';

export interface PassReport {
  readonly name: string;
  readonly numerics: Pass['numerics'];
  /** Whether the graph changed. */
  readonly fired: boolean;
  /** How many nodes of each op. */
  readonly opsBefore: Readonly<Record<string, number>>;
  readonly opsAfter: Readonly<Record<string, number>>;
}

/** Runs the passes one by one and counts the nodes around each. */
export function passReports(graph: Graph, disabled: readonly string[]): PassReport[] {
  const reports: PassReport[] = [];
  let before = graph;
  for (const pass of PASSES) {
    if (disabled.includes(pass.name)) continue;
    const after = pass.apply(before);
    reports.push({
      name: pass.name,
      numerics: pass.numerics,
      fired: graphText(before) !== graphText(after),
      opsBefore: countOps(before),
      opsAfter: countOps(after),
    });
    before = after;
  }
  return reports;
}

/** A block for each pass: the ops whose number changed, then the total. */
export function passesText(reports: readonly PassReport[]): string {
  return reports.map((report) => `${headline(report)}\n${table(changes(report), [1, 2])}`).join('\n');
}

function headline({ name, numerics, fired }: PassReport): string {
  return `${name} (${numerics})${fired ? '' : ': found nothing to change'}`;
}

function changes({ opsBefore, opsAfter }: PassReport): string[][] {
  const ops = [...new Set([...Object.keys(opsBefore), ...Object.keys(opsAfter)])].sort();
  const row = (name: string, before: number, after: number): string[] => [`  ${name}`, String(before), `-> ${after}`];
  const changed = ops.filter((op) => opsBefore[op] !== opsAfter[op]);
  return [
    ...changed.map((op) => row(op, opsBefore[op] ?? 0, opsAfter[op] ?? 0)),
    row('all nodes', total(opsBefore), total(opsAfter)),
  ];
}

function countOps(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { op } of graph.nodes) counts[op] = (counts[op] ?? 0) + 1;
  return counts;
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0);
}
