import { createBuilder, type GraphBuilder } from '../../src/graph/build.ts';
import { graphDiff } from '../../src/graph/diff.ts';
import type { Graph, ValueId } from '../../src/graph/ir.ts';
import { PASSES } from '../../src/graph/passes/index.ts';
import { ropeFrequencies } from '../../src/ops/rope_table.ts';
import { fence } from './source_quote.ts';

/** What a pass does, as a document shows it: on a model where it finds something, else on the smallest graph in which it does. */

/** By pass, a graph of a few nodes: x [T, 8] comes from the embedding, what is given back goes to the logits. */
const EXAMPLES: Readonly<Record<string, (b: GraphBuilder, x: ValueId) => ValueId>> = {
  share_constants(b, x) {
    const parts = [b.weight('wa', 'f32', [4, 8]), b.weight('wb', 'f32', [4, 8])];
    const [one, other] = ['a+b', 'a+b again'].map((name) => b.concatWeights(name, 'f32', parts));
    return b.add('sum', b.linear('y', x, one!, 'f32'), b.linear('z', b.silu('s', x), other!, 'f32'));
  },
  hoist_rope_tables(b, x) {
    const heads = b.reshape('heads', x, ['T', 2, 4]);
    const positions = b.input('positions');
    const [q, k] = ['q', 'k'].map((name) => {
      const table = b.ropeTable({ frequencies: ropeFrequencies(100, 4), magnitude: 1 });
      return b.rope(name, heads, positions, 'pairs', table);
    });
    return b.reshape('flat', b.add('sum', q!, k!), ['T', 8]);
  },
  fold_constants(b, x) {
    const there = b.reshape('there', x, ['T', 2, 4]);
    const back = b.reshape('back', there, ['T', 8]);
    return b.add('sum', b.slice('all', back, 0, 8), b.silu('s', b.slice('right', back, 0, 8)));
  },
  fuse_geglu(b, x) {
    const [gate, up] = ['gate', 'up'].map((name) =>
      b.linear(name, x, b.weight(`${name}.weight`, 'f32', [16, 8]), 'f32'),
    );
    return b.linear('down', b.mul('gated', b.gelu('gelu', gate!), up!), b.weight('down.weight', 'f32', [8, 16]), 'f32');
  },
  share_common(b, x) {
    const g = b.weight('g', 'f32', [8]);
    return b.mul('product', b.silu('s', b.rmsNorm('norm', x, g, 1e-5)), b.rmsNorm('norm again', x, g, 1e-5));
  },
};

/** Lines of a layer that a document has room for. */
const MOST_LINES = 24;

/** The region "change NAME" of every pass. model: the graph that the passes run over. */
export function passChanges(model: Graph): Map<string, string> {
  const regions = new Map<string, string>();
  let graph = model;
  for (const pass of PASSES) {
    const example = EXAMPLES[pass.name];
    const before = example === undefined ? graph : smallGraph(example);
    const lines = shown(graphDiff(before, pass.apply(before)));
    regions.set(`change ${pass.name}`, fence('diff', lines));
    graph = pass.apply(graph);
  }
  return regions;
}

/** The lines of the first layer that changed, and those of no layer. */
function shown(diff: ReturnType<typeof graphDiff>): string[] {
  const layerOf = (name: string): string | undefined => /^blk\.\d+\./.exec(name)?.[0];
  const first = diff.map((line) => layerOf(line.name)).find((layer) => layer !== undefined);
  const lines = diff.filter(({ name }) => layerOf(name) === undefined || layerOf(name) === first);
  const cut = lines.slice(0, MOST_LINES).map(({ sign, text }) => `${sign} ${text}`);
  return diff.length === cut.length ? cut : [...cut, `  ... and ${diff.length - cut.length} more lines like these`];
}

function smallGraph(build: (b: GraphBuilder, x: ValueId) => ValueId): Graph {
  const b = createBuilder();
  const y = build(b, b.embed('x', b.input('ids'), b.weight('table', 'f32', [4, 8])));
  return b.finish(b.takeRows('rows', y, b.input('outRows')), { nLayers: 0, nKvHeads: 1, headDim: 4 });
}
