import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { kIndex, vIndex } from '../../src/kvcache/layout.ts';
import { attendScores } from '../../src/ops/attend_scores.ts';
import { asCache, attendCases, attendSizes, cachedRows, dense, runsOf } from '../support/attend_cases.ts';
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
      const lengths = Int32Array.from(c.lengths);
      const atQ = memory.put(q, c.skew);
      const atK = memory.put(asCache(k, capacity, index), c.skew ^ 8);
      const atLengths = memory.put(lengths);
      const scores = memory.room(4 * nHeads * nTokens * sStride, c.skew);
      for (const { from, count } of runsOf(c)) {
        const run = atK + 4 * kIndex(c.headDim, from, 0);
        const { nKvHeads, group, headDim } = c;
        // biome-ignore format: the kernel's arguments in its own order
        kernel(scores, sStride, atQ, qStride, run, 4 * capacity * headDim, atLengths,
          nTokens, nKvHeads, group, headDim, from, count, SCALE);
      }

      const dims = [nTokens, nHeads, c.headDim];
      const expected = attendScores(tensor(dims, dense(q, nTokens, width, qStride)), k, lengths, SCALE).data;
      const got = memory.f32(scores, nHeads * nTokens * sStride);
      for (let row = 0; row < nHeads * nTokens; row++) {
        const n = c.lengths[row % nTokens]!; // what lies behind is never read
        const twin = expected.subarray(row * nPositions, row * nPositions + n);
        assertSameBits(`row ${row}`, got.subarray(row * sStride, row * sStride + n), twin);
      }
      memory.check();
    });

  testKernel<Kernel>({
    name: 'attendScoresF32',
    kernel: kernels.attendScoresF32,
    sameBits,
    mutants: {
      'all heads share the first kv head': (
        s,
        ss,
        q,
        qs,
        k,
        _headStride,
        l,
        nTokens,
        nKvHeads,
        group,
        d,
        from,
        n,
        scale,
      ) => kernels.attendScoresF32(s, ss, q, qs, k, 0, l, nTokens, nKvHeads, group, d, from, n, scale),
      'scaled twice': (s, ss, q, qs, k, headStride, l, nTokens, nKvHeads, group, d, from, n, scale) =>
        kernels.attendScoresF32(s, ss, q, qs, k, headStride, l, nTokens, nKvHeads, group, d, from, n, scale * scale),
      'every run starts at position 0': (
        s,
        ss,
        q,
        qs,
        k,
        headStride,
        l,
        nTokens,
        nKvHeads,
        group,
        d,
        _from,
        n,
        scale,
      ) => kernels.attendScoresF32(s, ss, q, qs, k, headStride, l, nTokens, nKvHeads, group, d, 0, n, scale),
      'the last block of a run is forgotten': (
        s,
        ss,
        q,
        qs,
        k,
        headStride,
        l,
        nTokens,
        nKvHeads,
        group,
        d,
        from,
        n,
        scale,
      ) => kernels.attendScoresF32(s, ss, q, qs, k, headStride, l, nTokens, nKvHeads, group, d, from, n & ~15, scale),
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
