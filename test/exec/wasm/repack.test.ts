import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DTYPES, type DType, rowBytes } from '../../../src/core/dtype.ts';
import { ShapeError } from '../../../src/core/errors.ts';
import { bufferSource } from '../../../src/core/host.ts';
import { packedBytes } from '../../../src/exec/wasm/layout.ts';
import { packBytes, packMatrix } from '../../../src/exec/wasm/repack.ts';
import type { TensorInfo } from '../../../src/load/model_file.ts';
import { FORMATS } from '../../../src/quant/formats.ts';
import { assertSameBits } from '../../support/kernel_property.ts';
import { describeBuilds } from '../../support/wasm_memory.ts';
import { weightBytes } from '../../support/weight_cases.ts';

/** Rows [from, from + nRows) of a matrix as a tensor of its own, at an odd place of a file. */
function part(dtype: DType, bytes: Uint8Array, from: number, nRows: number, nIn: number): TensorInfo {
  const nBytes = nRows * rowBytes(dtype, nIn);
  const file = new Uint8Array(nBytes + 3);
  file.set(bytes.subarray(from * rowBytes(dtype, nIn), (from + nRows) * rowBytes(dtype, nIn)), 3);
  return {
    name: `rows ${from}`,
    type: dtype,
    shape: [nRows, nIn],
    source: bufferSource('file', file),
    offset: 3,
    nBytes,
  };
}

describeBuilds('packing', ({ kernels, arena, memory }) => {
  const dtypes = Object.keys(DTYPES) as DType[];
  const cases = fc.record({
    dtype: fc.constantFrom(...dtypes),
    seed: fc.nat(),
    nRows: fc.nat(60),
    cuts: fc.array(fc.nat(60), { maxLength: 3 }),
    blocks: fc.nat(2),
  });

  const partsGiveTheWhole = (pack: typeof packMatrix) =>
    fc.asyncProperty(cases, async ({ dtype, seed, nRows, cuts, blocks }) => {
      memory.reset();
      const inUse = arena.bytesInUse;
      const nIn = blocks * DTYPES[dtype].blockSize;
      const bytes = weightBytes({ values: { seed, kind: 'plain' } }, dtype, nRows, nIn);
      const borders = [0, ...cuts.map((c) => Math.min(c, nRows)), nRows].sort((a, b) => a - b);
      const parts = borders.slice(1).map((until, i) => part(dtype, bytes, borders[i]!, until - borders[i]!, nIn));
      const size = packedBytes(dtype, nRows, nIn);
      const whole = memory.room(size);
      packBytes(bytes, dtype, nRows, nIn, whole, kernels, arena);
      const merged = memory.room(size);
      const finite = await pack(parts, dtype, nIn, merged, kernels, arena);
      assertSameBits('packed bytes', memory.bytes(merged, size), memory.bytes(whole, size));
      expect(finite).toBe(true);
      expect(arena.bytesInUse).toBe(inUse); // the staging buffer went back
      memory.check();
    });

  test('the parts of a merged matrix give what the whole gives', () => fc.assert(partsGiveTheWhole(packMatrix)));

  test('and a mutant that packs each part into panels of its own is caught', async () => {
    const apart: typeof packMatrix = async (parts, dtype, nIn, address, k, a) => {
      let at = address;
      for (const p of parts) {
        await packMatrix([p], dtype, nIn, at, k, a);
        at += p.nBytes;
      }
      return true;
    };
    expect((await fc.check(partsGiveTheWhole(apart), { seed: 1, endOnFailure: true })).failed).toBe(true);
  });

  test('a matrix of several staging buffers reads back as it was', async () => {
    const [nRows, nIn] = [75, 4096]; // 1.2 MB of f32: two buffers, the last panel not full
    const bytes = weightBytes({ values: { seed: 3, kind: 'wide' } }, 'f32', nRows, nIn);
    memory.reset();
    const packed = memory.room(packedBytes('f32', nRows, nIn));
    let nReads = 0;
    const readOptions = () => {
      nReads++;
      return {};
    };
    await packMatrix([part('f32', bytes, 0, nRows, nIn)], 'f32', nIn, packed, kernels, arena, readOptions);
    expect(nReads).toBe(2);
    const ids = memory.put(Int32Array.from({ length: nRows }, (_, i) => i));
    const rows = memory.room(4 * nRows * nIn);
    kernels.format('f32').embed(rows, ids, nRows, packed, nIn);
    const expected = new Float32Array(nRows * nIn);
    FORMATS.f32.unpack(bytes, 0, expected, 0, expected.length);
    assertSameBits('rows', memory.f32(rows, expected.length), expected);
    memory.check();
  });

  test('a weight that is not finite is reported, wherever it is', async () => {
    const bytes = weightBytes({ values: { seed: 4, kind: 'plain' } }, 'f16', 20, 3);
    bytes[2 * 59 + 1] = 0x7c; // the last weight: infinity or NaN
    memory.reset();
    const packed = memory.room(packedBytes('f16', 20, 3));
    expect(await packMatrix([part('f16', bytes, 0, 20, 3)], 'f16', 3, packed, kernels, arena)).toBe(false);
    expect(packBytes(bytes, 'f16', 20, 3, packed, kernels, arena)).toBe(false);
  });

  test('rows of another width are refused, and a failing read gives its buffer back', async () => {
    const info = part('f32', new Uint8Array(4 * 20), 0, 4, 5);
    const inUse = arena.bytesInUse;
    await expect(packMatrix([info], 'f32', 6, 0, kernels, arena)).rejects.toThrow(ShapeError);
    expect(() => packBytes(new Uint8Array(4), 'f32', 2, 1, 0, kernels, arena)).toThrow(ShapeError);
    const short = { ...info, offset: 30 };
    await expect(packMatrix([short], 'f32', 5, memory.room(8 * 20), kernels, arena)).rejects.toThrow(/needs bytes/);
    expect(arena.bytesInUse).toBe(inUse);
  });
});
