import fc from 'fast-check';
import { DTYPES, type DType, isBlockFormat } from '../../src/core/dtype.ts';
import { tensor } from '../../src/core/tensor.ts';
import type { Linear, LinearQ8 } from '../../src/exec/wasm/kernels.ts';
import {
  linearScratchBytes,
  packedBytes,
  panelCount,
  panelRows,
  quantizedRowsBytes,
} from '../../src/exec/wasm/layout.ts';
import { packBytes } from '../../src/exec/wasm/repack.ts';
import { type Activations, linear } from '../../src/ops/linear.ts';
import { BLOCK_SIZE } from '../../src/quant/block.ts';
import { type FloatSource, floatSource, hardFloats, skews } from './hard_floats.ts';
import { assertSameBits } from './kernel_property.ts';
import { type KernelBench, UNWRITTEN } from './wasm_memory.ts';
import { type WeightSource, weightBytes, weightSource } from './weight_cases.ts';

export interface LinearCase {
  readonly x: FloatSource;
  readonly w: WeightSource;
  readonly nTokens: number;
  readonly nIn: number;
  readonly nOut: number;
  /** The range of panels that is computed, as shares of all of them. */
  readonly first: number;
  readonly last: number;
  readonly gap: number;
  readonly skew: number;
}

/** Tokens around every tile, rows around every panel (the walk over four of 8 is 32), and ranges of panels. */
export function linearCases(dtype: DType): fc.Arbitrary<LinearCase> {
  return fc.record({
    x: floatSource,
    w: weightSource,
    nTokens: fc.oneof(fc.nat(5), fc.nat(19)),
    nIn: isBlockFormat(dtype) ? fc.nat(3).map((n) => DTYPES[dtype].blockSize * n) : fc.nat(40),
    nOut: fc.oneof(fc.nat(9), fc.nat(100)),
    first: fc.constantFrom(0, 0, 0.3, 0.6),
    last: fc.constantFrom(1, 1, 0.7, 0),
    gap: fc.constantFrom(0, 0, 3, 4),
    skew: skews,
  });
}

/** A case that crosses every block of tokens and of k, which small cases do not reach. */
export function largeCase(dtype: DType, nTokens: number): LinearCase {
  return {
    x: { seed: 5, kind: 'wide' },
    w: { values: { seed: 6, kind: 'wide' } },
    nTokens,
    nIn: isBlockFormat(dtype) ? Math.max(1056, 9 * DTYPES[dtype].blockSize) : 1030,
    nOut: 21,
    first: 0,
    last: 1,
    gap: 4,
    skew: 4,
  };
}

/** Runs a `linear` kernel on one case and compares it with the twin; rows outside the range must stay unwritten. */
export function checkLinear(bench: KernelBench, dtype: DType, activations: Activations, kernel: Linear, c: LinearCase) {
  const { arena, memory, kernels } = bench;
  memory.reset();
  const { nTokens, nIn, nOut } = c;
  const bytes = weightBytes(c.w, dtype, nOut, nIn);
  const packed = memory.room(packedBytes(dtype, nOut, nIn), isBlockFormat(dtype) ? 0 : c.skew);
  packBytes(bytes, dtype, nOut, nIn, packed, kernels, arena);

  const xStride = nIn + c.gap;
  const yStride = nOut + 2 * c.gap;
  const x = hardFloats(c.x, nTokens * xStride, 1);
  const atX = memory.put(x, c.skew);
  const y = memory.room(4 * nTokens * yStride, c.skew ^ 4);
  const scratch = memory.room(linearScratchBytes(dtype, nIn));
  const nPanels = panelCount(dtype, nOut);
  const from = Math.floor(nPanels * Math.min(c.first, c.last));
  const until = Math.ceil(nPanels * Math.max(c.first, c.last));
  kernel(y, yStride, atX, xStride, nTokens, nIn, packed, nOut, from, until - from, scratch);

  const dense = new Float32Array(nTokens * nIn);
  for (let t = 0; t < nTokens; t++) dense.set(x.subarray(t * xStride, t * xStride + nIn), t * nIn);
  const w = { name: 'w', dtype, shape: [nOut, nIn], bytes };
  const all = linear(tensor([nTokens, nIn], dense), w, activations).data;
  const expected = new Float32Array(nTokens * yStride).fill(UNWRITTEN);
  const [firstRow, endRow] = [from * panelRows(dtype), Math.min(until * panelRows(dtype), nOut)];
  for (let t = 0; t < nTokens; t++) {
    for (let o = firstRow; o < endRow; o++) expected[t * yStride + o] = all[t * nOut + o]!;
  }
  assertSameBits('y', memory.f32(y, expected.length), expected);
  memory.check();
}

/** The quantized product in the shape of the plain one: quantize in blocks of 32 or of 256, then multiply. */
export function throughQ8(
  bench: KernelBench,
  kernel: LinearQ8,
  quantize = bench.kernels.quantizeRowsQ8,
  blockSize: number = BLOCK_SIZE,
): Linear {
  return (y, yStride, x, xStride, nTokens, nIn, w, nOut, firstPanel, nPanels, scratch) => {
    const q = bench.memory.room(quantizedRowsBytes(bench.build, nTokens, nIn, blockSize));
    quantize(q, x, xStride, nTokens, nIn);
    kernel(y, yStride, q, nTokens, nIn, w, nOut, firstPanel, nPanels, scratch);
  };
}

/** Wrong by their calls, whatever the format. */
export function linearMutants(kernel: Linear): Record<string, Linear> {
  return {
    'rows beyond the last one are written': (y, ys, x, xs, nTokens, nIn, w, nOut, first, n, scratch) =>
      kernel(y, ys, x, xs, nTokens, nIn, w, nOut + 1, first, n, scratch),
    'the last token is forgotten': (y, ys, x, xs, nTokens, nIn, w, nOut, first, n, scratch) =>
      kernel(y, ys, x, xs, Math.max(0, nTokens - 1), nIn, w, nOut, first, n, scratch),
    'always from the first panel on': (y, ys, x, xs, nTokens, nIn, w, nOut, first, n, scratch) =>
      kernel(y, ys, x, xs, nTokens, nIn, w, nOut, 0, first + n, scratch),
  };
}
