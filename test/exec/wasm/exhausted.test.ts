import { describe, expect, test } from 'vitest';
import { CapacityError } from '../../../src/core/errors.ts';
import { type Arena, createArena, createMemory } from '../../../src/exec/wasm/arena.ts';
import { createFrames } from '../../../src/exec/wasm/frame.ts';
import { createRopeTables } from '../../../src/exec/wasm/rope_tables.ts';
import { createContiguousCache } from '../../../src/kvcache/contiguous.ts';
import { heapStorage } from '../../../src/kvcache/heap_storage.ts';
import { buildLlama } from '../../../src/models/llama.ts';
import { ropeTable } from '../../../src/ops/rope_table.ts';
import { batchOf, firstDifference } from '../../support/executors.ts';
import { tinyLlama } from '../../support/tiny_llama.ts';

/** A run that asks for more memory than there is fails, and the next, smaller one must still work in memory of its own. */

const LIMIT_BYTES = 2 ** 18;
const tiny = tinyLlama({ seed: 1, dtype: 'f32' });
const graph = buildLlama(tiny.config, tiny.tensors, 'f32');

/** Takes all that is left and overwrites it: what still uses memory that was given back loses its numbers. */
function fillUp(arena: Arena): void {
  for (let nBytes = LIMIT_BYTES; nBytes >= 16; nBytes /= 2) {
    try {
      for (;;) arena.bytes(arena.alloc(nBytes), nBytes).fill(0xa5);
    } catch (error) {
      if (!(error instanceof CapacityError)) throw error;
    }
  }
}

describe('when the memory is exhausted', () => {
  test('rope tables keep what they have', () => {
    const arena = createArena(createMemory(), 0, LIMIT_BYTES);
    const ropes = createRopeTables(graph.ropes, arena);
    ropes.reach(1);
    expect(() => ropes.reach(LIMIT_BYTES)).toThrow(CapacityError);
    fillUp(arena);
    ropes.reach(2);
    const { cos, sin } = ropeTable(graph.ropes[0]!, 2);
    const { cos: atCos, sin: atSin } = ropes.at(0);
    expect(firstDifference(arena.f32(atCos, cos.length), cos)).toBeUndefined();
    expect(firstDifference(arena.f32(atSin, sin.length), sin)).toBeUndefined();
  });

  test('a frame never lies in memory that was given back', () => {
    const arena = createArena(createMemory(), 0, LIMIT_BYTES);
    const frames = createFrames(graph, arena, 'simd');
    const cache = createContiguousCache({ ...graph.kv, elementBytes: 4 }, 4096, heapStorage(Float32Array));
    const batch = (nTokens: number) => batchOf(cache, [{ sequence: cache.create(), ids: Array(nTokens).fill(1) }]);
    frames.open(batch(1), cache);
    expect(() => frames.open(batch(2048), cache)).toThrow(CapacityError);
    const other = arena.alloc(LIMIT_BYTES / 2);
    const frame = frames.open(batch(1), cache);
    const isInOther = (address: number) => address >= other && address < other + LIMIT_BYTES / 2;
    expect([frame.ids, frame.positions, ...frame.addresses].some(isInOther)).toBe(false);
  });
});
