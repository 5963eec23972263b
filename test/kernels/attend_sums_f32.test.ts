import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { attendSums } from '../../src/ops/attend_sums.ts';
import { attendCases, attendSizes, runsOf, sees, visibleOf } from '../support/attend_cases.ts';
import { hardFloats } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('attend_sums_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.attendSumsF32;

  /** Two calls for the tokens, one for each kv head and stretch; what a row does not see is NaN. */
  const sameBits = (kernel: Kernel) =>
    fc.property(attendCases, (c) => {
      memory.reset();
      const { nTokens, nHeads, nPositions, sStride } = attendSizes(c);
      const visible = visibleOf(c);
      const before = hardFloats(c.source, c.nKvHeads * nPositions, 1);
      const p = hardFloats(c.source, nHeads * nTokens * sStride, 2).map((x, i) =>
        sees(visible, Math.floor(i / sStride) % nTokens, i % sStride) ? x : NaN,
      );
      const [sums, probs] = [memory.put(before, c.skew), memory.put(p, c.skew)];
      const [lengths, starts] = [memory.put(visible.lengths), memory.put(visible.starts)];
      const first = Math.min(c.tokensFirst, nTokens);
      for (const { from, count } of runsOf(c)) {
        for (let h = 0; h < c.nKvHeads; h++) {
          const to = sums + 4 * (h * nPositions + from);
          const heads = probs + 4 * h * c.group * nTokens * sStride;
          for (const [t, n] of [
            [0, first],
            [first, nTokens - first],
          ] as const) {
            // biome-ignore format: the kernel's arguments in its own order
            kernel(
              to, heads + 4 * t * sStride, sStride, nTokens * sStride, lengths + 4 * t, starts + 4 * t, visible.sinks,
              n, c.group, from, count,
            );
          }
        }
      }
      const expected = tensor([c.nKvHeads, nPositions], before);
      const dense = new Float32Array(nHeads * nTokens * nPositions);
      for (let row = 0; row < nHeads * nTokens; row++) {
        dense.set(p.subarray(row * sStride, row * sStride + nPositions), row * nPositions);
      }
      attendSums(expected, tensor([nHeads, nTokens, nPositions], dense), visible);
      assertSameBits('sums', memory.f32(sums, before.length), expected.data);
      memory.check([sums]);
    });

  testKernel<Kernel>({
    name: 'attendSumsF32',
    kernel: kernels.attendSumsF32,
    sameBits,
    mutants: {
      'heads come before tokens': (sums, p, ss, sh, lengths, starts, sinks, n, group, from, count) => {
        for (let g = 0; g < group; g++) {
          kernels.attendSumsF32(sums, p + 4 * g * sh, ss, sh, lengths, starts, sinks, n, 1, from, count);
        }
      },
      'the last token comes first': (sums, p, ss, sh, lengths, starts, sinks, n, group, from, count) => {
        for (let t = n - 1; t >= 0; t--) {
          const at = 4 * t;
          kernels.attendSumsF32(sums, p + at * ss, ss, sh, lengths + at, starts + at, sinks, 1, group, from, count);
        }
      },
      'there are no sinks': (sums, p, ss, sh, lengths, starts, _sinks, n, group, from, count) =>
        kernels.attendSumsF32(sums, p, ss, sh, lengths, starts, 0, n, group, from, count),
      'every stretch is the first': (sums, p, ss, sh, lengths, starts, sinks, n, group, _from, count) =>
        kernels.attendSumsF32(sums, p, ss, sh, lengths, starts, sinks, n, group, 0, count),
      'one position less': (sums, p, ss, sh, lengths, starts, sinks, n, group, from, count) =>
        kernels.attendSumsF32(sums, p, ss, sh, lengths, starts, sinks, n, group, from, count - 1),
    },
  });
});
