import { DTYPES, type DType, rowBytes } from '../../src/core/dtype.ts';
import { f32ToF16 } from '../../src/core/half.ts';
import { tensor } from '../../src/core/tensor.ts';
import type { Linear } from '../../src/exec/wasm/kernels.ts';
import {
  ACTIVATION_BLOCK_BYTES,
  linearScratchBytes,
  packedBytes,
  panelCount,
  quantizedRowsBytes,
} from '../../src/exec/wasm/layout.ts';
import { packBytes } from '../../src/exec/wasm/repack.ts';
import { linear } from '../../src/ops/linear.ts';
import { BLOCK_SIZE } from '../../src/quant/block.ts';
import { assertSameBits } from './kernel_property.ts';
import type { KernelBench } from './wasm_memory.ts';

/** Sets the sums of codes of every quantized block to 0: they follow its scale, up to the end of its record. */
export function clearSums(bench: KernelBench, q: number, nTokens: number, nIn: number): void {
  const record = ACTIVATION_BLOCK_BYTES[bench.build];
  const nRecords = quantizedRowsBytes(bench.build, nTokens, nIn) / record;
  const scaleEnd = (bench.build === 'relaxed' ? BLOCK_SIZE : 2 * BLOCK_SIZE) + 4;
  for (let i = 0; i < nRecords; i++) bench.arena.bytes(q + i * record + scaleEnd, record - scaleEnd).fill(0);
}

/** Every code at an end of its range, all products of one sign: what would overflow a sum that is too narrow. */
export function extremeCase(bench: KernelBench, dtype: DType, kernel: Linear, nTokens: number, sign: 1 | -1): void {
  const { memory, kernels, arena } = bench;
  memory.reset();
  const nOut = 32;
  const nIn = 2 * BLOCK_SIZE;
  const bytes = new Uint8Array(nOut * rowBytes(dtype, nIn));
  const { blockBytes } = DTYPES[dtype];
  const scale = f32ToF16(0.5);
  for (let block = 0; block < bytes.length / blockBytes; block++) {
    // Rows take turns with all codes at the lower and at the upper end: 0 and 15 (stored), -128 and 127.
    const low = Math.floor(block / 2) % 2 === 0;
    const code = dtype === 'q4_0' ? (low ? 0x00 : 0xff) : low ? 0x80 : 0x7f;
    bytes.fill(code, block * blockBytes, (block + 1) * blockBytes);
    bytes[block * blockBytes] = scale & 0xff;
    bytes[block * blockBytes + 1] = scale >> 8;
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
