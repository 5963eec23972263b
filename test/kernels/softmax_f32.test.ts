import fc from 'fast-check';
import { tensor } from '../../src/core/tensor.ts';
import { softmax } from '../../src/ops/softmax.ts';
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
      fc.nat(5),
      skews,
      fc.boolean(),
      fc.constantFrom(1, 30),
      fc.nat(4),
      (source, nHeads, rowLengths, slack, skew, inPlace, scale, tokensFirst) => {
        memory.reset();
        const nTokens = rowLengths.length;
        const lengths = Int32Array.from(rowLengths);
        const stride = Math.max(0, ...rowLengths) + slack;
        const x = hardFloats(source, nHeads * nTokens * stride).map((v) => v * scale);
        const atX = memory.put(x, skew);
        const atLengths = memory.put(lengths);
        const p = inPlace ? atX : memory.room(4 * x.length, skew);
        const before = memory.f32(p, x.length);
        // Two calls, the first tokens of all heads and the rest.
        const first = Math.min(tokensFirst, nTokens);
        const tokens = 4 * first * stride;
        kernel(p, atX, atLengths, nHeads, nTokens * stride, first, stride);
        kernel(p + tokens, atX + tokens, atLengths + 4 * first, nHeads, nTokens * stride, nTokens - first, stride);
        const expected = softmax(tensor([nHeads, nTokens, stride], x), lengths).data;
        for (let i = 0; i < x.length; i++) {
          const t = Math.floor(i / stride) % nTokens;
          if (i % stride >= lengths[t]!) expected[i] = before[i]!;
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
      'heads lie as near as the tokens of one call': (p, x, lengths, nHeads, _headStride, nTokens, stride) =>
        kernels.softmaxF32(p, x, lengths, nHeads, nTokens * stride, nTokens, stride),
      'every row has the length of the first': (p, x, lengths, nHeads, headStride, nTokens, stride) => {
        for (let t = 0; t < nTokens; t++) {
          kernels.softmaxF32(p + 4 * t * stride, x + 4 * t * stride, lengths, nHeads, headStride, 1, stride);
        }
      },
      'the whole stride is a row': (p, x, lengths, nHeads, headStride, nTokens, stride) => {
        const m = new Int32Array(memory.view().buffer);
        const kept = m.slice(lengths / 4, lengths / 4 + nTokens);
        m.fill(stride, lengths / 4, lengths / 4 + nTokens);
        kernels.softmaxF32(p, x, lengths, nHeads, headStride, nTokens, stride);
        m.set(kept, lengths / 4);
      },
    },
  });
});
