import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { type Place, placesOf, rowWidth } from '../../src/exec/views.ts';
import { createBuilder } from '../../src/graph/build.ts';
import type { Graph } from '../../src/graph/ir.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { rewrite } from '../../src/graph/rewrite.ts';
import { type RandomModel, randomModels } from '../support/random_model.ts';
import { playScenario, scenarios } from '../support/scenario.ts';

/** Every view, taken out of its root's recorded rows by its place, is the value that the naive tier has under its name. */
const findsEveryView = (places: (graph: Graph) => readonly Place[], count = { views: 0 }) =>
  fc.property(randomModels, scenarios, (model: RandomModel, scenario) => {
    const graph = optimize(model.graph);
    const steps = playScenario(createNaiveExecutor(graph, model.weights), scenario);
    return places(graph).every(({ root, from, rowStride }, id) => {
      const node = graph.nodes[id]!;
      if (root === id || node.shape.includes('S')) return true;
      count.views++;
      const width = rowWidth(node.shape);
      return steps.every(({ values }) => {
        const view = values.get(node.name)!.data;
        const rows = values.get(graph.nodes[root]!.name)!.data;
        return view.every((v, i) => Object.is(v, rows[from + Math.floor(i / width) * rowStride + (i % width)]));
      });
    });
  });

describe('places of values', () => {
  test('a view is where its place says', () => {
    const count = { views: 0 };
    fc.assert(findsEveryView(placesOf, count), { numRuns: 40 });
    expect(count.views).toBeGreaterThan(40);
  });

  const changed = (change: (place: Place) => Place) => (graph: Graph) => placesOf(graph).map(change);
  test.each([
    ['all views begin at column 0', changed((place) => ({ ...place, from: 0 }))],
    ['rows are one element too far apart', changed((place) => ({ ...place, rowStride: place.rowStride + 1 }))],
  ])('a mutant is caught: %s', (_what, mutant) => {
    expect(fc.check(findsEveryView(mutant), { numRuns: 40, seed: 1 }).failed).toBe(true);
  });
});

describe('what is no view', () => {
  const graphWith = (op: 'rope' | 'silu' | 'add' | 'nothing'): { graph: Graph; slice: Place } => {
    const b = createBuilder();
    const x = b.embed('x', b.input('ids'), b.weight('table', 'f32', [4, 8]));
    const table = b.ropeTable({ frequencies: [1], magnitude: 1 });
    const heads = b.reshape('heads', x, ['T', 4, 2]);
    b.rope('turned', heads, b.input('positions'), 'pairs', table);
    const whole = b.finish(b.takeRows('y', x, b.input('outRows')), { nLayers: 0, nKvHeads: 1, headDim: 2 });
    const graph = rewrite(whole, (node, _id, to) => {
      if (node.name !== 'turned') return undefined;
      const part = to.emit({ op: 'slice', from: 2, width: 4 }, 'part', [to.keep(x)]);
      if (op === 'silu') to.emit({ op: 'silu' }, 'side', [part]);
      if (op === 'add') to.emit({ op: 'add' }, 'side', [part, part]);
      if (op === 'nothing') return part;
      const two = to.emit({ op: 'reshape', to: ['T', 2, 2] }, 'two', [part]);
      return to.emit({ op: 'rope', layout: 'pairs', table }, 'turned', [two, to.keep(node.inputs[1]!)]);
    });
    return { graph, slice: placesOf(graph)[graph.nodes.findIndex((n) => n.name === 'part')]! };
  };

  test('columns that rope reads are a view', () =>
    expect(graphWith('rope').slice).toMatchObject({ from: 2, rowStride: 8 }));
  test('columns that silu reads too still are', () =>
    expect(graphWith('silu').slice).toMatchObject({ from: 2, rowStride: 8 }));
  test('columns that a sum reads too are a copy', () =>
    expect(graphWith('add').slice).toMatchObject({ from: 0, rowStride: 4 }));
  test('halves of a residual_norm have places of their own, whoever reads them', () => {
    const b = createBuilder();
    const x = b.embed('x', b.input('ids'), b.weight('table', 'f32', [4, 8]));
    const both = b.residualNorm('both', x, x, b.weight('g', 'f32', [8]), 1);
    const [sum, norm] = [b.slice('sum', both, 0, 8), b.slice('norm', both, 8, 8)];
    const y = b.takeRows('y', b.mul('m', sum, norm), b.input('outRows'));
    const places = placesOf(b.finish(y, { nLayers: 0, nKvHeads: 1, headDim: 8 }));
    for (const half of [sum, norm]) expect(places[half]).toEqual({ root: half, from: 0, rowStride: 8 });
  });
  test('columns that are the output are a copy', () => {
    const { graph } = graphWith('nothing');
    const output = graph.nodes.findIndex((n) => n.name === 'part');
    expect(placesOf({ ...graph, output })[output]).toEqual({ root: output, from: 0, rowStride: 4 });
  });
});
