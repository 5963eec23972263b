import fc from 'fast-check';
import { test } from 'vitest';
import { ACTIVATION_BLOCK_BYTES, quantizedRowsBytes } from '../../src/exec/wasm/layout.ts';
import { allocQuantizedRow, quantizeActivations } from '../../src/quant/activations.ts';
import { floatSource, hardFloats, skews } from '../support/hard_floats.ts';
import { assertSameBits, testKernel } from '../support/kernel_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const BLOCK = 32;
/** Tokens whose blocks interleave. */
const GROUP = 4;
/** Where the plain build, which multiplies pairs of i16, has code i of a group of four. */
const IN_PAIRS = [0, 2, 1, 3];

describeBuilds('quantize_rows_q8', ({ build, kernels, memory }) => {
  type Kernel = typeof kernels.quantizeRowsQ8;

  /** Codes, scale and sum of one block, out of the build's own layout. */
  function readBlock(q: number, nTokens: number, nBlocks: number, t: number, b: number) {
    const record = ACTIVATION_BLOCK_BYTES[build];
    const inGroup = nTokens < GROUP ? 1 : GROUP;
    const at = q + record * (Math.floor(t / inGroup) * inGroup * nBlocks + b * inGroup + (t % inGroup));
    const bytes = new DataView(memory.bytes(at, record).buffer);
    const codes = Array.from({ length: BLOCK }, (_, i) =>
      build === 'relaxed' ? bytes.getInt8(i) : bytes.getInt16(2 * ((i & ~3) + IN_PAIRS[i & 3]!), true),
    );
    const at0 = build === 'relaxed' ? BLOCK : 2 * BLOCK; // behind the codes
    const scale = bytes.getFloat32(at0, true);
    if (build === 'simd') return { codes, scale, sum: 0 - bytes.getInt32(at0 + 4, true) };
    const sum = 0 - bytes.getInt16(at0 + 4, true) - bytes.getInt16(at0 + 6, true);
    return { codes, scale, sum, negatives: 0 - bytes.getInt32(at0 + 8, true) };
  }

  const compare = (kernel: Kernel, x: Float32Array, nTokens: number, nIn: number, xStride: number, skew: number) => {
    memory.reset();
    const atX = memory.put(x, skew);
    const q = memory.room(quantizedRowsBytes(build, nTokens, nIn), skew);
    kernel(q, atX, xStride, nTokens, nIn);
    const expected = allocQuantizedRow(nIn);
    for (let t = 0; t < nTokens; t++) {
      quantizeActivations(x, t * xStride, nIn, expected);
      for (let b = 0; b < nIn / BLOCK; b++) {
        const got = readBlock(q, nTokens, nIn / BLOCK, t, b);
        assertSameBits('codes', got.codes, expected.codes.subarray(b * BLOCK, (b + 1) * BLOCK));
        assertSameBits('scale and sum', [got.scale, got.sum], [expected.scales[b]!, expected.sums[b]!]);
        const negatives = got.codes.reduce((sum, code) => sum + Math.min(code, 0), 0);
        if (got.negatives !== undefined) assertSameBits('negatives', [got.negatives], [negatives]);
      }
    }
    memory.check();
  };

  const cases = fc.record({
    source: floatSource,
    nTokens: fc.nat(18),
    nBlocks: fc.nat(3),
    gap: fc.constantFrom(0, 5),
    skew: skews,
    /** 2^-140 makes scales subnormal; halves make quotients that lie between two codes. */
    form: fc.constantFrom('as it is', 'tiny', 'halves'),
  });

  const sameBits = (kernel: Kernel) =>
    fc.property(cases, ({ source, nTokens, nBlocks, gap, skew, form }) => {
      const nIn = BLOCK * nBlocks;
      const xStride = nIn + gap;
      let x = hardFloats(source, nTokens * xStride);
      if (form === 'tiny') x = x.map((v) => v * 2 ** -140);
      if (form === 'halves') {
        x = x.map((v) => Math.floor(v * 126) + 0.5);
        for (let i = 0; i < x.length; i += 16) x[i] = 127; // so that d is 1
      }
      compare(kernel, x, nTokens, nIn, xStride, skew);
    });

  testKernel<Kernel>({
    name: 'quantizeRowsQ8',
    kernel: kernels.quantizeRowsQ8,
    sameBits,
    mutants: {
      'ties away from zero': (q, x, xStride, nTokens, nIn) => {
        // Away from zero is what a slightly larger number rounds to.
        const m = memory.view();
        const kept = m.slice(x / 4, x / 4 + nTokens * xStride);
        for (let i = 0; i < kept.length; i++)
          if (Math.abs(kept[i]! % 1) === 0.5) m[x / 4 + i] = kept[i]! * (1 + 2 ** -20);
        kernels.quantizeRowsQ8(q, x, xStride, nTokens, nIn);
        m.set(kept, x / 4);
      },
      'rows taken as dense': (q, x, _xStride, nTokens, nIn) => kernels.quantizeRowsQ8(q, x, nIn, nTokens, nIn),
      'the last token is forgotten': (q, x, xStride, nTokens, nIn) =>
        kernels.quantizeRowsQ8(q, x, xStride, Math.max(0, nTokens - 1), nIn),
    },
  });

  test('a NaN or an infinity anywhere in a block makes its scale NaN and its codes 0', () => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      for (let i = 0; i < BLOCK; i++) {
        const x = new Float32Array(BLOCK).fill(0.5);
        x[i] = bad;
        compare(kernels.quantizeRowsQ8, x, 1, BLOCK, BLOCK, 0);
      }
    }
  });
});
