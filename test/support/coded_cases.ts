import fc from 'fast-check';
import { test } from 'vitest';
import { DTYPES, type DType, rowBytes } from '../../src/core/dtype.ts';
import { tensor } from '../../src/core/tensor.ts';
import type { Linear } from '../../src/exec/wasm/kernels.ts';
import {
  ACTIVATION_BLOCK_BYTES,
  linearScratchBytes,
  packedBytes,
  panelCount,
  quantizedRowsBytes,
  SUPER_ACTIVATION_BLOCK_BYTES,
} from '../../src/exec/wasm/layout.ts';
import { packBytes } from '../../src/exec/wasm/repack.ts';
import { linear } from '../../src/ops/linear.ts';
import { SUPER_BLOCK_SIZE } from '../../src/quant/ggml_block.ts';
import { writeScales } from './block_scales.ts';
import { assertSameBits, testKernel } from './kernel_property.ts';
import { checkLinear, largeCase, linearCases, linearMutants, throughQ8 } from './linear_cases.ts';
import type { KernelBench } from './wasm_memory.ts';

/** The properties of `linear` with weights of small integers, which all such formats share. */

/** Bytes of sums at the end of a record of activations. */
const SUM_BYTES = { simd: 4, relaxed: 8 } as const;
const SUPER_SUM_BYTES = 112;

/** A format's kernel with quantized activations, in the shape of the plain one. */
export function quantized(bench: KernelBench, dtype: DType): Linear {
  return throughQ8(bench, bench.kernels.format(dtype).q8!, quantizerOf(bench, dtype), DTYPES[dtype].blockSize);
}

function quantizerOf({ kernels }: KernelBench, dtype: DType): typeof kernels.quantizeRowsQ8 {
  return DTYPES[dtype].blockSize === SUPER_BLOCK_SIZE ? kernels.quantizeRowsQ8Super : kernels.quantizeRowsQ8;
}

/** activations f32: the bits of the twin, mutants, and sizes beyond every block of tokens and of k. */
export function testLinearF32(
  bench: KernelBench,
  dtype: DType,
  name: string,
  kernel: Linear,
  mutants: Record<string, Linear>,
): void {
  testKernel<Linear>({
    name,
    kernel,
    sameBits: (wanted) => fc.property(linearCases(dtype), (c) => checkLinear(bench, dtype, 'f32', wanted, c)),
    mutants,
  });

  test.each([1, 2, 131])('over the borders of blocks, %i tokens', (nTokens) => {
    checkLinear(bench, dtype, 'f32', kernel, largeCase(dtype, nTokens));
  });
}

/** activations q8: the same, and the largest sums. */
export function testLinearQ8(
  bench: KernelBench,
  dtype: DType,
  name: string,
  kernel: Linear,
  mutants: Record<string, Linear>,
): void {
  testKernel<Linear>({
    name,
    kernel,
    sameBits: (wanted) => fc.property(linearCases(dtype), (c) => checkLinear(bench, dtype, 'q8', wanted, c)),
    mutants,
  });

  test.each([1, 7, 67, 131])('over the borders of blocks, %i tokens', (nTokens) => {
    checkLinear(bench, dtype, 'q8', kernel, largeCase(dtype, nTokens));
  });

  test.each([1, 8])('the largest inner sums are exact, %i tokens', (nTokens) => {
    for (const sign of [1, -1] as const) checkExtremes(bench, dtype, kernel, nTokens, sign);
  });
}

export function linearF32Mutants(bench: KernelBench, dtype: DType, kernel: Linear): Record<string, Linear> {
  return { ...linearMutants(kernel), 'activations are rounded to int8': quantized(bench, dtype) };
}

export function linearQ8Mutants(bench: KernelBench, dtype: DType, kernel: Linear): Record<string, Linear> {
  // Values of the iq4 table have no offset where they are i16.
  const readsSums = bench.build === 'relaxed' || !dtype.startsWith('iq4');
  return {
    ...linearMutants(kernel),
    'activations stay f32': bench.kernels.format(dtype).f32,
    ...(readsSums ? { 'sums of codes are not taken out': withoutSums(bench, dtype) } : {}),
  };
}

/** Sums of activations are 0 when the product reads them. */
function withoutSums(bench: KernelBench, dtype: DType): Linear {
  const { blockSize } = DTYPES[dtype];
  const isSuper = blockSize === SUPER_BLOCK_SIZE;
  const record = (isSuper ? SUPER_ACTIVATION_BLOCK_BYTES : ACTIVATION_BLOCK_BYTES)[bench.build];
  const nSumBytes = isSuper ? SUPER_SUM_BYTES : SUM_BYTES[bench.build];
  const quantize = quantizerOf(bench, dtype);
  return throughQ8(
    bench,
    bench.kernels.format(dtype).q8!,
    (q, x, xStride, nTokens, nIn) => {
      quantize(q, x, xStride, nTokens, nIn);
      const nBytes = quantizedRowsBytes(bench.build, nTokens, nIn, blockSize);
      for (let end = record; end <= nBytes; end += record) bench.arena.bytes(q + end - nSumBytes, nSumBytes).fill(0);
    },
    blockSize,
  );
}

/** Bytes of which codes, scales and minima at the ends of their ranges are made. */
const EXTREME_BYTES = [0x00, 0xff, 0x7f, 0x80, 0x88, 0x77] as const;
/** Where scales of sub-blocks begin or end, so that they are at other ends than the codes. */
const PARTS: Partial<Record<DType, readonly number[]>> = { q2_k: [16], q3_k: [32, 96], q6_k: [128, 192], iq4_xs: [8] };
const AFTER_HEAD = 16;

/**
 * Codes and scales at the ends of their ranges, all products of one sign: what would overflow a sum that is too narrow. Every
 * row is one combination of bytes in the parts of its blocks.
 */
function checkExtremes(bench: KernelBench, dtype: DType, kernel: Linear, nTokens: number, sign: 1 | -1): void {
  const { memory, kernels, arena } = bench;
  memory.reset();
  const { blockSize, blockBytes } = DTYPES[dtype];
  const nKinds = EXTREME_BYTES.length;
  const nOut = nKinds ** 3;
  const nIn = 2 * blockSize;
  const bytes = new Uint8Array(nOut * rowBytes(dtype, nIn));
  const view = new DataView(bytes.buffer);
  const borders = [...(PARTS[dtype] ?? [AFTER_HEAD]), blockBytes];
  for (let block = 0; block < bytes.length / blockBytes; block++) {
    const at = block * blockBytes;
    let kind = Math.floor(block / 2);
    let from = 0;
    for (const border of borders) {
      bytes.fill(EXTREME_BYTES[kind % nKinds]!, at + from, at + border);
      kind = Math.floor(kind / nKinds);
      from = border;
    }
    writeScales(dtype, view, at, 0.5, 0.25);
  }
  const x = new Float32Array(nTokens * nIn).fill(sign * 127);
  const packed = memory.room(packedBytes(dtype, nOut, nIn));
  packBytes(bytes, dtype, nOut, nIn, packed, kernels, arena);
  const atX = memory.put(x);
  const y = memory.room(4 * nTokens * nOut);
  const scratch = memory.room(linearScratchBytes(dtype, nIn));
  kernel(y, nOut, atX, nIn, nTokens, nIn, packed, nOut, 0, panelCount(dtype, nOut), scratch);
  const w = { name: 'w', dtype, shape: [nOut, nIn], bytes };
  assertSameBits('y', memory.f32(y, nTokens * nOut), linear(tensor([nTokens, nIn], x), w, 'q8').data);
  memory.check();
}
