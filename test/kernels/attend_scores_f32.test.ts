import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { kIndex, vIndex } from '../../src/kvcache/layout.ts';
import { attendScores } from '../../src/ops/attend_scores.ts';
import { seenBy } from '../../src/ops/visible.ts';
import { asCache, attendCases, attendSizes, cachedRows, callsOf, dense, visibleOf } from '../support/attend_cases.ts';
import { hardFloats } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const SCALE = 1 / Math.sqrt(7);

describeBuilds('attend_scores_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.attendScoresF32;

  const sameBits = (kernel: Kernel, index: typeof kIndex = kIndex) =>
    fc.property(attendCases, (c) => {
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
      const expected = attendScores(tensor(dims, dense(q, nTokens, width, qStride)), k, visible, SCALE, c.cap).data;
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

  /** The kernel with one argument changed. */
  const changed =
    (index: number, change: (value: number, args: readonly number[]) => number): Kernel =>
    (...args) => {
      const wrong = [...args] as Parameters<Kernel>;
      wrong[index] = change(args[index]!, args);
      kernels.attendScoresF32(...wrong);
    };

  testKernel<Kernel>({
    name: 'attendScoresF32',
    kernel: kernels.attendScoresF32,
    sameBits,
    mutants: {
      'heads lie as near as the tokens of one call': changed(2, (_stride, args) => args[10]! * args[1]!),
      'all heads share the first kv head': changed(6, () => 0),
      'there are no sinks': changed(9, () => 0),
      'windows start a block late': (...args) => {
        const [starts, nTokens] = [args[8] / 4, args[10]];
        const m = new Int32Array(memory.view().buffer);
        for (let t = 0; t < nTokens; t++) m[starts + t]! += 16;
        kernels.attendScoresF32(...args);
        for (let t = 0; t < nTokens; t++) m[starts + t]! -= 16;
      },
      'scaled twice': changed(16, (scale) => scale * scale),
      'every run starts at position 0': changed(14, () => 0),
      'the last block of a run is forgotten': changed(15, (n) => n & ~15),
      'nothing is capped': changed(17, () => 0),
      'a cap that is a little wider': changed(17, (cap) => cap * (1 + 2 ** -23)),
    },
  });

  testKernel<typeof kIndex>({
    name: 'attendScoresF32, with the keys of kIndex,',
    kernel: kIndex,
    sameBits: (index) => sameBits(kernels.attendScoresF32, index),
    mutants: { 'keys in the order of values': vIndex },
    numRuns: 20,
  });
});
