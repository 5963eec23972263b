import fc from 'fast-check';
import { test } from 'vitest';
import { quantizedRowsBytes } from '../../src/exec/wasm/layout.ts';
import { allocQuantizedRow, quantizeActivations } from '../../src/quant/activations.ts';
import { floatSource, hardFloats, skews } from './hard_floats.ts';
import { assertSameBits, testKernel } from './kernel_property.ts';
import type { KernelBench } from './wasm_memory.ts';

type Quantize = KernelBench['kernels']['quantizeRowsQ8'];

/** One block of activations as a kernel wrote it. sums: as the twin has them, one for each `sumSize` codes. */
interface ReadBlock {
  readonly codes: readonly number[];
  readonly scale: number;
  readonly sums: readonly number[];
}

/** Tokens whose blocks interleave. */
const GROUP = 4;
/** Where the plain build, which multiplies pairs of i16, has code i of a group of four. */
const IN_PAIRS = [0, 2, 1, 3];

/** The codes with which a record of n begins, in the build's own order. */
export function readCodes({ build }: KernelBench, record: DataView, n: number): number[] {
  return Array.from({ length: n }, (_, i) =>
    build === 'relaxed' ? record.getInt8(i) : record.getInt16(2 * ((i & ~3) + IN_PAIRS[i & 3]!), true),
  );
}

/** The property that all kernels share which write quantized activations: blocks of `blockSize` in records of `recordBytes`. */
export function testQuantize(
  bench: KernelBench,
  name: string,
  kernel: Quantize,
  blockSize: number,
  recordBytes: number,
  read: (record: DataView) => ReadBlock,
  mutants: Record<string, Quantize>,
): void {
  const { build, memory } = bench;

  function readBlock(q: number, nTokens: number, nBlocks: number, t: number, b: number): ReadBlock {
    const inGroup = nTokens < GROUP ? 1 : GROUP;
    const at = q + recordBytes * (Math.floor(t / inGroup) * inGroup * nBlocks + b * inGroup + (t % inGroup));
    return read(new DataView(memory.bytes(at, recordBytes).buffer));
  }

  const compare = (wanted: Quantize, x: Float32Array, nTokens: number, nIn: number, xStride: number, skew: number) => {
    memory.reset();
    const atX = memory.put(x, skew);
    const q = memory.room(quantizedRowsBytes(build, nTokens, nIn, blockSize), skew);
    wanted(q, atX, xStride, nTokens, nIn);
    const expected = allocQuantizedRow(nIn, blockSize);
    const sumsOfBlock = blockSize / expected.sumSize;
    for (let t = 0; t < nTokens; t++) {
      quantizeActivations(x, t * xStride, nIn, expected);
      for (let b = 0; b < nIn / blockSize; b++) {
        const got = readBlock(q, nTokens, nIn / blockSize, t, b);
        assertSameBits('codes', got.codes, expected.codes.subarray(b * blockSize, (b + 1) * blockSize));
        assertSameBits('scale', [got.scale], [expected.scales[b]!]);
        assertSameBits('sums', got.sums, Array.from(expected.sums.subarray(b * sumsOfBlock, (b + 1) * sumsOfBlock)));
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

  const sameBits = (wanted: Quantize) =>
    fc.property(cases, ({ source, nTokens, nBlocks, gap, skew, form }) => {
      const nIn = blockSize * nBlocks;
      const xStride = nIn + gap;
      let x = hardFloats(source, nTokens * xStride);
      if (form === 'tiny') x = x.map((v) => v * 2 ** -140);
      if (form === 'halves') {
        x = x.map((v) => Math.floor(v * 126) + 0.5);
        for (let i = 0; i < x.length; i += 16) x[i] = 127; // so that d is 1
      }
      compare(wanted, x, nTokens, nIn, xStride, skew);
    });

  testKernel<Quantize>({
    name,
    kernel,
    sameBits,
    mutants,
  });

  test('a NaN or an infinity anywhere in a block makes its scale NaN and its codes 0', () => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      for (let i = 0; i < blockSize; i++) {
        const x = new Float32Array(blockSize).fill(0.5);
        x[i] = bad;
        compare(kernel, x, 1, blockSize, blockSize, 0);
      }
    }
  });
}

export function quantizeMutants({ memory }: KernelBench, kernel: Quantize): Record<string, Quantize> {
  return {
    'ties away from zero': (q, x, xStride, nTokens, nIn) => {
      // Away from zero is what a slightly larger number rounds to.
      const m = memory.view();
      const kept = m.slice(x / 4, x / 4 + nTokens * xStride);
      for (let i = 0; i < kept.length; i++)
        if (Math.abs(kept[i]! % 1) === 0.5) m[x / 4 + i] = kept[i]! * (1 + 2 ** -20);
      kernel(q, x, xStride, nTokens, nIn);
      m.set(kept, x / 4);
    },
    'rows taken as dense': (q, x, _xStride, nTokens, nIn) => kernel(q, x, nIn, nTokens, nIn),
    'the last token is forgotten': (q, x, xStride, nTokens, nIn) =>
      kernel(q, x, xStride, Math.max(0, nTokens - 1), nIn),
  };
}
