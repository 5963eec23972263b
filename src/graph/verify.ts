import { assert } from '../core/errors.ts';
import { equalShapes, showShape } from '../core/shape.ts';
import { checkWeightShape, resultShape } from '../ops/table.ts';
import type { Graph, Node } from './ir.ts';

/**
 * Checks what every graph promises, before and after each pass:
 *  - inputs point backwards (so there is no cycle), and the output exists and is [R, vocab];
 *  - every stated shape is what the op's shape rule gives;
 *  - names are unique; rope tables exist; each (layer, k or v) of the cache is written at most once;
 *  - only `linear`, `embed`, `rms_norm` and `concat_weights` read weights; feeds are read where ids belong.
 * Throws ShapeError where shapes do not fit; a broken structure is a bug of a pass, and asserts.
 */
export function verify(graph: Graph): void {
  const names = new Set<string>();
  const written = new Set<string>();
  graph.nodes.forEach((node, id) => {
    const what = `node %${id} (${node.op} "${node.name}")`;
    assert(!names.has(node.name), `${what}: name is used twice`);
    names.add(node.name);
    for (const input of node.inputs) {
      assert(Number.isInteger(input) && input >= 0 && input < id, `${what}: input %${input} is not an earlier node`);
    }
    if (node.op === 'weight') {
      checkWeightShape(node.name, node.dtype, node.shape);
      return;
    }
    const shape = resultShape(
      node,
      node.inputs.map((i) => graph.nodes[i]!.shape),
    );
    assert(
      equalShapes(shape, node.shape),
      `${what}: states ${showShape(node.shape)}, its rule gives ${showShape(shape)}`,
    );
    checkReaders(graph, node, what);
    if (node.op === 'rope') assert(node.table in graph.ropes, `${what}: there is no rope table ${node.table}`);
    if (node.op === 'kv_write_k' || node.op === 'kv_write_v') {
      const slot = `${node.op} ${node.layer}`;
      assert(!written.has(slot), `${what}: layer ${node.layer} is written twice`);
      written.add(slot);
      const { nLayers, nKvHeads, headDim } = graph.kv;
      assert(node.layer >= 0 && node.layer < nLayers, `${what}: layer ${node.layer} is outside 0..${nLayers - 1}`);
      assert(
        equalShapes(node.shape, ['S', nKvHeads, headDim]),
        `${what}: rows ${showShape(node.shape)} do not fit the cache's [S, ${nKvHeads}, ${headDim}]`,
      );
    }
  });
  const output = graph.nodes[graph.output];
  assert(output !== undefined, `the output %${graph.output} does not exist`);
  assert(
    output.shape.length === 2 && output.shape[0] === 'R',
    `the output is ${showShape(output.shape)}, not [R, vocab]`,
  );
}

/** Weights and feeds may enter only where an op reads them as such. */
function checkReaders(graph: Graph, node: Node, what: string): void {
  node.inputs.forEach((input, index) => {
    const from = graph.nodes[input]!;
    const isWeight = from.op === 'weight' || from.op === 'concat_weights';
    const wantsWeight =
      node.op === 'concat_weights' ||
      (index === 1 && (node.op === 'linear' || node.op === 'embed' || node.op === 'rms_norm'));
    assert(isWeight === wantsWeight, `${what}: input ${index} ${isWeight ? 'is' : 'is not'} a weight`);
    if (node.op === 'concat_weights') {
      assert(from.op === 'weight' && from.dtype === node.dtype, `${what}: joins ${from.name} of another format`);
    }
    assert(from.op !== 'input' || feedFits(node, index, from.feed), `${what}: input ${index} cannot be a feed`);
  });
}

function feedFits(node: Node, index: number, feed: 'ids' | 'positions' | 'outRows'): boolean {
  switch (node.op) {
    case 'embed':
      return index === 0 && feed === 'ids';
    case 'take_rows':
      return index === 1 && feed === 'outRows';
    case 'rope':
    case 'softmax':
      return index === 1 && feed === 'positions';
    case 'attend_scores':
    case 'attend_mix':
      return index === 2 && feed === 'positions';
    default:
      return false;
  }
}
