import { bytesOf, hasBuffer, planBuffers } from '../../src/exec/plan.ts';
import { scoreStride } from '../../src/exec/wasm/layout.ts';
import type { Graph } from '../../src/graph/ir.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { createContiguousCache } from '../../src/kvcache/contiguous.ts';
import { heapStorage } from '../../src/kvcache/heap_storage.ts';
import { bytesPerPosition, type KvLayout, kIndex, vIndex } from '../../src/kvcache/layout.ts';
import { grouped, table } from './number_text.ts';
import type { Walk } from './tour_start.ts';

/** Rooms 5 and 6. */
export function cacheRegions({ opened, ids, at }: Walk): [string, string][] {
  const graph = opened.description.buildGraph('q8');
  const layout: KvLayout = { ...graph.kv, elementBytes: 4 };
  const { maxContext } = opened.description.config;
  const cache = createContiguousCache(layout, maxContext, heapStorage(Float32Array));
  cache.create();
  const { nLayers, nKvHeads, headDim } = graph.kv;
  const perPosition = bytesPerPosition(layout);
  return [
    [
      'cache',
      [
        `- One position takes 2 x ${nLayers} layers x ${nKvHeads} kv heads x ${headDim} x 4 bytes = ${grouped(perPosition)} bytes.`,
        `- A fresh sequence takes ${grouped(cache.bytesInUse)} bytes, room for ${cache.bytesInUse / perPosition} positions; the whole context of ${maxContext} positions takes ${grouped(perPosition * maxContext)}.`,
        `- Within a kv head, key elements 0, 1, 2 of position ${at} are at indices ${[0, 1, 2].map((d) => kIndex(headDim, at, d)).join(', ')} (lanes are positions), value elements 0, 1, 2 at ${[0, 1, 2].map((d) => vIndex(headDim, at, d)).join(', ')} (lanes are head dims).`,
      ].join('\n'),
    ],
    [
      'plan',
      table(
        ['run', 'values', 'one buffer each, bytes', 'planned, bytes'],
        [ids.length, 1].map((n) => planned(optimize(graph), n, ids.length)),
      ),
    ],
  ];
}

/** Scratch of a run of nTokens that ends at position nPositions - 1. */
function planned(graph: Graph, nTokens: number, nPositions: number): (string | number)[] {
  const sizes = { T: nTokens, R: 1, attendCells: nTokens * scoreStride(nPositions) };
  const owners = graph.nodes.filter((node) => hasBuffer(node.op) && node.op !== 'reshape');
  const apart = owners.reduce((n, node) => n + bytesOf(node.shape, sizes), 0);
  return [`T = ${nTokens}, R = 1`, owners.length, grouped(apart), grouped(planBuffers(graph, sizes).totalBytes)];
}
