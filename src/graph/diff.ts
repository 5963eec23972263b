import type { Graph } from './ir.ts';
import { nodeLine } from './text.ts';

/** What a pass did, for people: lines of the graph that are gone, and lines that are new. */
export interface DiffLine {
  readonly sign: '-' | '+';
  /** The node, with its inputs by name: numbers change with every node that comes or goes. */
  readonly text: string;
  readonly name: string;
}

/**
 * The lines of `before` that `after` has not, each run of them followed by what stands in its place. A line that both have and
 * that stands elsewhere now is no change: a graph is what its nodes read, not where they stand.
 */
export function graphDiff(before: Graph, after: Graph): DiffLine[] {
  const [old, now] = [linesOf(before), linesOf(after)];
  const [isOld, isNow] = [new Set(old.map((l) => l.text)), new Set(now.map((l) => l.text))];
  const lines: DiffLine[] = [];
  // Both have as many lines in common, since names are unique: the two walks stay in step.
  for (let [i, j] = [0, 0]; i < old.length || j < now.length; ) {
    if (i < old.length && !isNow.has(old[i]!.text)) lines.push({ sign: '-', ...old[i++]! });
    else if (j < now.length && !isOld.has(now[j]!.text)) lines.push({ sign: '+', ...now[j++]! });
    else [i, j] = [i + 1, j + 1];
  }
  return lines;
}

function linesOf(graph: Graph): { text: string; name: string }[] {
  const nameOf = (id: number): string => graph.nodes[id]!.name;
  return [
    ...graph.ropes.map((spec, i) => ({
      name: `rope table ${i}`,
      text: `rope table ${i} of ${spec.frequencies.length} pairs: ${JSON.stringify(spec)}`,
    })),
    ...graph.nodes.map((node) => ({ name: node.name, text: nodeLine(node, nameOf) })),
  ];
}
