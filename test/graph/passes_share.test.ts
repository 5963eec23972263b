import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createBuilder } from '../../src/graph/build.ts';
import type { Graph, Node } from '../../src/graph/ir.ts';
import { dropDead } from '../../src/graph/passes/drop_dead.ts';
import { foldConstants } from '../../src/graph/passes/fold_constants.ts';
import { hoistRopeTables } from '../../src/graph/passes/hoist_rope_tables.ts';
import { shareCommon } from '../../src/graph/passes/share_common.ts';
import { shareConstants } from '../../src/graph/passes/share_constants.ts';
import { rewrite } from '../../src/graph/rewrite.ts';
import { changing, countOp } from './mutants.ts';
import { passSuite, sameStructure } from './pass_suite.ts';
import { buildGraph, type GraphSpec, graphSpecs, type LayerSpec, type Plant, randomGraphs } from './random_graph.ts';

/** Graphs in which one of these is planted in every layer, beside what else a layer may have. */
const planting = (...plants: Plant[]) =>
  graphSpecs(
    fc
      .constantFrom(...plants)
      .chain((plant) => fc.subarray(['dead', 'reads q', 'swapped'] as Plant[]).map((more) => [plant, ...more])),
  ).map(buildGraph);

passSuite(shareConstants, {
  firedAtLeast: 0.9,
  graphs: planting('twin join'),
  mutants: {
    'joins that differ in their order are one': (graph) => {
      const after = shareConstants.apply(graph);
      const joined = after.nodes.findIndex((n) => n.op === 'concat_weights');
      const nodes = after.nodes.map((n, id) => (id === joined ? { ...n, inputs: [...n.inputs].reverse() } : n));
      return { ...after, nodes: nodes as Node[] };
    },
    'readers of the second one read its first part': (graph) => {
      const again = graph.nodes.findIndex((n) => n.name.endsWith('joined_again'));
      const nodes = graph.nodes.map((n, id) => (id === again ? { ...n, inputs: [n.inputs[0]!, n.inputs[0]!] } : n));
      return shareConstants.apply({ ...graph, nodes: nodes as Node[] });
    },
  },
});

/** share_common with another idea of when two nodes are the same. */
const sharing = (keyOf: (node: Node, inputs: readonly number[]) => string) => (graph: Graph) => {
  const first = new Map<string, number>();
  return rewrite(graph, (node, _id, to) => {
    if (node.op !== 'rms_norm' && node.op !== 'linear') return undefined;
    const { name, inputs: old, shape: _shape, ...op } = node;
    const inputs = old.map(to.keep);
    const key = keyOf(node, inputs);
    const known = first.get(key) ?? to.emit(op, name, inputs);
    first.set(key, known);
    return known;
  });
};

passSuite(shareCommon, {
  firedAtLeast: 0.7,
  graphs: planting('twin norm', 'twin chain', 'other eps', 'reads scores', 'other activations'),
  mutants: {
    'attributes are not compared': sharing((node, inputs) => JSON.stringify([node.op, inputs])),
    'weights are not compared': sharing((node, inputs) => JSON.stringify([node.op, inputs[0], node.shape])),
  },
});

passSuite(hoistRopeTables, {
  firedAtLeast: 0.15,
  mutants: {
    'tables of one length are one': (graph) => ({
      ...graph,
      ropes: graph.ropes.slice(0, 1),
      nodes: graph.nodes.map((n) => (n.op === 'rope' ? { ...n, table: 0 } : n)),
    }),
    'an unused table goes, and the indices stay': (graph) => {
      const isRead = new Set(graph.nodes.map((n) => (n.op === 'rope' ? n.table : -1)));
      return { ...graph, ropes: graph.ropes.filter((_, i) => isRead.has(i)) };
    },
  },
});

passSuite(foldConstants, {
  firedAtLeast: 0.9,
  graphs: planting('many shapes', 'whole slice', 'slice of slice', 'single join'),
  mutants: {
    'a slice of a slice forgets where the first began': (graph) => {
      const after = foldConstants.apply(graph);
      const own = new Map(graph.nodes.map((n) => [n.name, n]));
      const nodes = after.nodes.map((n) => {
        const was = own.get(n.name);
        return n.op === 'slice' && was?.op === 'slice' ? { ...n, from: was.from } : n;
      });
      return { ...after, nodes };
    },
    'every slice that begins at 0 is a slice of everything': (graph) =>
      rewrite(graph, (node, _id, to) =>
        node.op === 'slice' && (node.from === 0 || node.name.endsWith('quarter'))
          ? to.keep(node.inputs[0]!)
          : undefined,
      ),
    'a reshape is gone, whatever its shape': (graph) =>
      rewrite(graph, (node, _id, to) => (node.op === 'reshape' ? to.keep(node.inputs[0]!) : undefined)),
  },
});

passSuite(dropDead, {
  firedAtLeast: 0.2,
  mutants: {
    'forgets that a sum has two inputs': changing(dropDead, 'add', ({ inputs }) => ({
      inputs: [inputs[0]!, inputs[0]!],
    })),
    'drops a live node and reads its neighbour': (graph) => {
      const after = dropDead.apply(graph);
      const gone = after.nodes.findIndex((n) => n.op === 'silu' && n.name.includes('ffn'));
      const nodes = after.nodes
        .filter((_, id) => id !== gone)
        .map((n) => ({ ...n, inputs: n.inputs.map((i) => (i >= gone ? i - 1 : i)) }) as Node);
      return { ...after, nodes, output: after.output - 1 };
    },
  },
});

test('drop_dead keeps a cache write that only later runs read, and every feed', () => {
  const b = createBuilder();
  const x = b.embed('x', b.input('ids'), b.weight('table', 'f32', [4, 8]));
  const keys = b.kvWriteK('keys', b.reshape('k', x, ['T', 1, 8]), 0);
  b.input('positions');
  b.silu('dead', x);
  const graph = b.finish(b.takeRows('y', x, b.input('outRows')), { nLayers: 1, nKvHeads: 1, headDim: 8 });
  const kept = dropDead.apply(graph).nodes.map((n) => n.name);
  expect(kept).toEqual(['ids', 'table', 'x', 'k', 'keys', 'positions', 'outRows', 'y']);
  expect(graph.nodes[keys]!.name).toBe('keys');
});

const base: GraphSpec = fc.sample(randomGraphs, { numRuns: 1, seed: 1 })[0]!.spec;
const layer: LayerSpec = { attention: ['f32', 'f32', 'f32'], gateUp: ['f32', 'f32'], rest: 'f32', plants: [] };
const graphOf = (spec: Partial<GraphSpec>, ...plants: Plant[]) =>
  buildGraph({ ...base, head: 'plain', ropes: 'shared', layers: [{ ...layer, plants }], ...spec }).graph;

describe('what is left alone', () => {
  test.each<Plant>(['other eps', 'other activations', 'swapped', 'reads q'])('share_common: %s', (plant) => {
    const graph = graphOf({}, plant);
    expect(sameStructure(shareCommon.apply(graph), graph)).toBe(true);
  });
  test('fold_constants: a rope whose frequencies are all 0 still computes', () => {
    expect(countOp(foldConstants.apply(graphOf({ ropes: 'still' })), 'rope')).toBe(2);
    expect(countOp(foldConstants.apply(graphOf({ ropes: 'no pairs' })), 'rope')).toBe(0);
  });
  test('hoist_rope_tables: tables that differ', () => {
    const layers = [layer, layer];
    expect(hoistRopeTables.apply(graphOf({ ropes: 'different', layers })).ropes).toHaveLength(2);
    expect(hoistRopeTables.apply(graphOf({ ropes: 'equal', layers })).ropes).toHaveLength(1);
    expect(hoistRopeTables.apply(graphOf({ ropes: 'one unused', layers })).ropes).toHaveLength(1);
  });
});

test('share_common melts chains that are there twice, from the front', () => {
  const after = shareCommon.apply(graphOf({}, 'twin chain', 'twin norm'));
  expect(after.nodes.filter((n) => n.name.endsWith('_again'))).toEqual([]);
});

test('share_constants: a feed that is there twice is one', () => {
  const graph = graphOf({});
  const nodes = [...graph.nodes, { op: 'input', feed: 'ids', name: 'ids again', inputs: [], shape: ['T'] } as Node];
  expect(sameStructure(shareConstants.apply({ ...graph, nodes }), graph)).toBe(true);
});
