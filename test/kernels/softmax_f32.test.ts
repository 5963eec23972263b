import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { softmax } from '../../src/ops/softmax.ts';
import { sees, visibleOf } from '../support/attend_cases.ts';
import { floatSource, hardFloats, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('softmax_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.softmaxF32;

  /** Rows of different lengths; what lies behind a row's length is anything, and stays. */
  const sameBits = (kernel: Kernel) =>
    fc.property(
      floatSource,
      fc.integer({ min: 1, max: 3 }),
      fc.array(fc.nat(40), { maxLength: 4 }),
      fc.record({ sinks: fc.constantFrom(0, 1, 3, 4, 5, 20), starts: fc.array(fc.nat(30), { maxLength: 4 }) }),
      fc.nat(5),
      skews,
      fc.boolean(),
      fc.constantFrom(1, 30),
      fc.nat(4),
      (source, nHeads, rowLengths, window, slack, skew, inPlace, scale, tokensFirst) => {
        memory.reset();
        const nTokens = rowLengths.length;
        const visible = visibleOf({ lengths: rowLengths, ...window });
        const stride = Math.max(0, ...rowLengths) + slack;
        const x = hardFloats(source, nHeads * nTokens * stride).map((v) => v * scale);
        const atX = memory.put(x, skew);
        const atLengths = memory.put(visible.lengths);
        const atStarts = memory.put(visible.starts);
        const p = inPlace ? atX : memory.room(4 * x.length, skew);
        const before = memory.f32(p, x.length);
        // Two calls, the first tokens of all heads and the rest.
        const first = Math.min(tokensFirst, nTokens);
        const tokens = 4 * first * stride;
        const { sinks } = visible;
        kernel(p, atX, atLengths, atStarts, sinks, nHeads, nTokens * stride, first, stride);
        // biome-ignore format: the kernel's arguments in its own order
        kernel(
          p + tokens, atX + tokens, atLengths + 4 * first, atStarts + 4 * first, sinks,
          nHeads, nTokens * stride, nTokens - first, stride,
        );
        const expected = softmax(tensor([nHeads, nTokens, stride], x), visible).data;
        for (let i = 0; i < x.length; i++) {
          const t = Math.floor(i / stride) % nTokens;
          if (!sees(visible, t, i % stride)) expected[i] = before[i]!;
        }
        assertSameBits('p', memory.f32(p, x.length), expected);
        memory.check(inPlace ? [atX] : []);
      },
    );

  testKernel<Kernel>({
    name: 'softmaxF32',
    kernel: kernels.softmaxF32,
    sameBits,
    mutants: {
      'heads lie as near as the tokens of one call': (p, x, lengths, starts, sinks, nHeads, _hs, nTokens, stride) =>
        kernels.softmaxF32(p, x, lengths, starts, sinks, nHeads, nTokens * stride, nTokens, stride),
      'every row has the length of the first': (p, x, lengths, starts, sinks, nHeads, headStride, nTokens, stride) => {
        for (let t = 0; t < nTokens; t++) {
          const row = 4 * t * stride;
          kernels.softmaxF32(p + row, x + row, lengths, starts + 4 * t, sinks, nHeads, headStride, 1, stride);
        }
      },
      'every row starts where the first one does': (
        p,
        x,
        lengths,
        starts,
        sinks,
        nHeads,
        headStride,
        nTokens,
        stride,
      ) => {
        for (let t = 0; t < nTokens; t++) {
          const row = 4 * t * stride;
          kernels.softmaxF32(p + row, x + row, lengths + 4 * t, starts, sinks, nHeads, headStride, 1, stride);
        }
      },
      'there are no sinks': (p, x, lengths, starts, _sinks, nHeads, headStride, nTokens, stride) =>
        kernels.softmaxF32(p, x, lengths, starts, 0, nHeads, headStride, nTokens, stride),
      'there is one sink too many': (p, x, lengths, starts, sinks, nHeads, headStride, nTokens, stride) =>
        kernels.softmaxF32(p, x, lengths, starts, sinks + 1, nHeads, headStride, nTokens, stride),
      'the whole stride is a row': (p, x, lengths, starts, sinks, nHeads, headStride, nTokens, stride) => {
        const m = new Int32Array(memory.view().buffer);
        const kept = m.slice(lengths / 4, lengths / 4 + nTokens);
        m.fill(stride, lengths / 4, lengths / 4 + nTokens);
        kernels.softmaxF32(p, x, lengths, starts, sinks, nHeads, headStride, nTokens, stride);
        m.set(kept, lengths / 4);
      },
    },
  });
});
