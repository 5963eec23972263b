import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import type { CoreKernels } from '../../src/exec/wasm/kernels.ts';
import { kIndex } from '../../src/kvcache/layout.ts';
import { attendScores } from '../../src/ops/attend_scores.ts';
import type { Sums } from '../../src/ops/linear.ts';
import { seenBy } from '../../src/ops/visible.ts';
import { asCache, attendCases, attendSizes, cachedRows, callsOf, dense, visibleOf } from './attend_cases.ts';
import { hardFloats } from './hard_floats.ts';
import { assertSameBits } from './kernel_property.ts';
import type { KernelBench } from './wasm_memory.ts';

const SCALE = 1 / Math.sqrt(7);

/** A kernel of attention's scores has the bits of its definition, for sums in this form. index: how the keys lie. */
export function scoresProperty(
  memory: KernelBench['memory'],
  kernel: CoreKernels['attendScoresF32'],
  sums: Sums,
  index: typeof kIndex = kIndex,
) {
  return fc.property(attendCases, (c) => {
    memory.reset();
    const { nTokens, nHeads, nPositions, sStride, capacity } = attendSizes(c);
    const width = nHeads * c.headDim;
    const qStride = width + c.gap;
    const q = hardFloats(c.source, nTokens * qStride, 1);
    const k = cachedRows(c, 2);
    const visible = visibleOf(c);
    const atQ = memory.put(q, c.skew);
    const atK = memory.put(asCache(k, capacity, index), c.skew ^ 8);
    const atLengths = memory.put(visible.lengths);
    const atStarts = memory.put(visible.starts);
    const scores = memory.room(4 * nHeads * nTokens * sStride, c.skew);
    const { group, headDim } = c;
    const headStride = 4 * capacity * headDim;
    for (const call of callsOf(c)) {
      const head = call.kvHead * group;
      const { from, count } = call.run;
      // biome-ignore format: the kernel's arguments in its own order
      kernel(scores + 4 * (head * nTokens + call.token) * sStride, sStride, nTokens * sStride,
          atQ + 4 * (call.token * qStride + head * headDim), qStride,
          atK + call.kvHead * headStride + 4 * kIndex(headDim, from, 0), headStride, atLengths + 4 * call.token,
          atStarts + 4 * call.token, visible.sinks,
          call.nTokens, call.nKvHeads, group, headDim, from, count, SCALE, c.cap ?? 0);
    }

    const dims = [nTokens, nHeads, c.headDim];
    const expected = attendScores(tensor(dims, dense(q, nTokens, width, qStride)), k, visible, SCALE, c.cap, sums).data;
    const got = memory.f32(scores, nHeads * nTokens * sStride);
    for (let row = 0; row < nHeads * nTokens; row++) {
      // What a row does not see is never read.
      for (const [from, until] of seenBy(visible, row % nTokens)) {
        const twin = expected.subarray(row * nPositions + from, row * nPositions + until);
        assertSameBits(`row ${row}`, got.subarray(row * sStride + from, row * sStride + until), twin);
      }
    }
    memory.check();
  });
}
