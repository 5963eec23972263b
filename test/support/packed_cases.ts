import fc from 'fast-check';
import { DTYPES, type DType, isBlockFormat, rowBytes } from '../../src/core/dtype.ts';
import type { Embed, Repack } from '../../src/exec/wasm/kernels.ts';
import { packedBytes, panelBytes, panelRows } from '../../src/exec/wasm/layout.ts';
import { packBytes } from '../../src/exec/wasm/repack.ts';
import { embed } from '../../src/ops/embed.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { groupedPanels, isGrouped } from './grouped_layout.ts';
import { skews } from './hard_floats.ts';
import { assertSameBits } from './kernel_property.ts';
import type { KernelBench } from './wasm_memory.ts';
import { weightBytes, weightSource } from './weight_cases.ts';

/** Where the drawing in src/exec/wasm/layout.ts puts the bytes of row o: [packed offset, file offset, xor] for each byte. */
function* places(dtype: DType, nIn: number, o: number): Generator<[number, number, number]> {
  const panel = Math.floor(o / panelRows(dtype)) * panelBytes(dtype, nIn);
  const r = o % panelRows(dtype);
  if (!isBlockFormat(dtype)) {
    const size = rowBytes(dtype, 1);
    for (let k = 0; k < nIn; k++) {
      for (let i = 0; i < size; i++) yield [panel + (k * 8 + r) * size + i, k * size + i, 0];
    }
    return;
  }
  const nCodeBytes = dtype === 'q8_0' ? 32 : 16;
  const record = 16 * (nCodeBytes + 2);
  for (let b = 0; b < nIn / 32; b++) {
    const block = b * (nCodeBytes + 2);
    const scale = panel + b * record + 16 * nCodeBytes + 2 * r;
    for (let i = 0; i < 2; i++) yield [scale + i, block + i, 0];
    for (let c = 0; c < nCodeBytes; c++) {
      const to = panel + b * record + Math.floor(c / 4) * 64 + r * 4 + (c % 4);
      yield [to, block + 2 + c, dtype === 'q8_0' ? 0x80 : 0];
    }
  }
}

/** Every byte of a file where the layout has it. */
function movedBytes(dtype: DType, bytes: Uint8Array, nRows: number, nIn: number): Uint8Array {
  const packed = new Uint8Array(packedBytes(dtype, nRows, nIn));
  for (let o = 0; o < nRows; o++) {
    for (const [to, from, xor] of places(dtype, nIn, o)) packed[to] = bytes[o * rowBytes(dtype, nIn) + from]! ^ xor;
  }
  return packed;
}

/** repack puts every byte where the layout says, fills the last panel with zeros, and finds what is not finite. */
export function repackCases(bench: KernelBench, dtype: DType): (kernel: Repack) => fc.IProperty<unknown> {
  const { memory } = bench;
  const blocks = DTYPES[dtype].blockSize;
  const rows = fc.oneof(fc.nat(9), fc.nat(40));
  const widths = isBlockFormat(dtype) ? fc.nat(6) : fc.oneof(fc.nat(9), fc.nat(20)); // rows of whole vectors, and ends
  return (kernel) =>
    fc.property(weightSource, rows, widths, skews, fc.nat(3), (source, nRows, width, skew, odd) => {
      memory.reset();
      const nIn = width * blocks;
      const bytes = weightBytes(source, dtype, nRows, nIn);
      const src = memory.put(bytes, odd); // file bytes have any alignment
      const dst = memory.room(packedBytes(dtype, nRows, nIn), skew);
      const finite = kernel(dst, src, nRows, nIn);

      const expected = isGrouped(dtype)
        ? groupedPanels(dtype, bytes, nRows, nIn)
        : movedBytes(dtype, bytes, nRows, nIn);
      assertSameBits('packed bytes', memory.bytes(dst, expected.length), expected);
      const values = new Float32Array(nRows * nIn);
      FORMATS[dtype].unpack(bytes, 0, values, 0, values.length);
      assertSameBits('finite', [finite], [values.every(Number.isFinite) ? 1 : 0]);
      memory.check();
    });
}

/** Wrong by their calls, whatever the format. */
export function repackMutants(kernel: Repack): Record<string, Repack> {
  return {
    'the last row is forgotten': (dst, src, nRows, nIn) => kernel(dst, src, Math.max(0, nRows - 1), nIn),
    'all weights are called finite': (dst, src, nRows, nIn) => {
      kernel(dst, src, nRows, nIn);
      return 1;
    },
  };
}

/** embed reads back from the packed layout what the format unpacks from the file's bytes. */
export function embedCases(bench: KernelBench, dtype: DType): (kernel: Embed) => fc.IProperty<unknown> {
  const { memory, kernels, arena } = bench;
  const unit = DTYPES[dtype].blockSize;
  const tables = fc
    .integer({ min: 1, max: 40 })
    .chain((vocab) => fc.record({ vocab: fc.constant(vocab), ids: fc.array(fc.nat(vocab - 1), { maxLength: 5 }) }));
  return (kernel) =>
    fc.property(weightSource, tables, fc.nat(5), skews, (source, { vocab, ids }, width, skew) => {
      memory.reset();
      const dim = width * unit;
      const bytes = weightBytes(source, dtype, vocab, dim);
      const table = memory.room(packedBytes(dtype, vocab, dim));
      packBytes(bytes, dtype, vocab, dim, table, kernels, arena);
      const atIds = memory.put(Int32Array.from(ids));
      const y = memory.room(4 * ids.length * dim, skew);
      kernel(y, atIds, ids.length, table, dim);
      const expected = embed(Int32Array.from(ids), { name: 'table', dtype, shape: [vocab, dim], bytes }).data;
      assertSameBits('y', memory.f32(y, expected.length), expected);
      memory.check();
    });
}

/** Wrong by their calls, whatever the format. */
export function embedMutants(kernel: Embed): Record<string, Embed> {
  return {
    'the last token is forgotten': (y, ids, nTokens, w, nIn) => kernel(y, ids, Math.max(0, nTokens - 1), w, nIn),
    'every token is the first one': (y, ids, nTokens, w, nIn) => {
      for (let t = 0; t < nTokens; t++) kernel(y + 4 * t * nIn, ids, 1, w, nIn);
    },
  };
}
