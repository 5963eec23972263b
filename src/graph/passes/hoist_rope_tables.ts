import type { Graph } from '../ir.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      equal rope tables; a table that no node reads
 * replacement  the first of the equal ones, for all layers; nothing
 * condition    the same frequencies, number for number, and the same magnitude
 * numerics     exact: equal tables hold equal angles
 *
 * Angles are never computed within a layer: rope reads a table by its index, and executors make each table once. What is left
 * to be hoisted is a table that every layer brought along for itself: after this pass all share one, and there is one to make,
 * to grow and to keep in memory.
 */
export const hoistRopeTables: Pass = { name: 'hoist_rope_tables', numerics: 'exact', after: [], apply };

function apply(graph: Graph): Graph {
  const isRead = new Set(graph.nodes.flatMap((node) => ('table' in node ? [node.table] : [])));
  const first = new Map<string, number>();
  const ropes: Graph['ropes'][number][] = [];
  const moved = graph.ropes.map((spec, index) => {
    if (!isRead.has(index)) return -1;
    const key = JSON.stringify([spec.frequencies, spec.magnitude]);
    const at = first.get(key) ?? ropes.push(spec) - 1;
    first.set(key, at);
    return at;
  });
  if (ropes.length === graph.ropes.length) return graph;
  const nodes = graph.nodes.map((node) => ('table' in node ? { ...node, table: moved[node.table]! } : node));
  return { ...graph, nodes, ropes };
}
