import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALL_DTYPES, DTYPES } from '../../../src/core/dtype.ts';
import { CapacityError } from '../../../src/core/errors.ts';
import { createArena, createMemory } from '../../../src/exec/wasm/arena.ts';
import { createWasmExecutor } from '../../../src/exec/wasm/executor.ts';
import { FORMAT_MODULES } from '../../../src/exec/wasm/format_kernels.ts';
import type { Kernels, Repack } from '../../../src/exec/wasm/kernels.ts';
import { packedBytes } from '../../../src/exec/wasm/layout.ts';
import { weightsNeed } from '../../../src/exec/wasm/packed_weights.ts';
import { storedAs } from '../../../src/exec/wasm/stored_as.ts';
import { withUnpackedFormats } from '../../../src/exec/wasm/unpacked_kernels.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import type { TensorInfo } from '../../../src/load/model_file.ts';
import { buildLlama } from '../../../src/models/llama.ts';
import { takesQ8 } from '../../../src/quant/codes.ts';
import { FORMATS } from '../../../src/quant/formats.ts';
import { firstBitDifference } from '../../support/bits.ts';
import { HOST } from '../../support/executors.ts';
import { tinyLlama } from '../../support/tiny_llama.ts';
import { weightBytes, weightSource } from '../../support/weight_cases.ts';

const UNPACKED = ALL_DTYPES.filter((dtype) => storedAs(dtype) !== dtype);

test('formats with a module are stored as themselves, all others as f32', () => {
  expect(ALL_DTYPES.filter((dtype) => storedAs(dtype) === dtype).toSorted()).toEqual(
    Object.keys(FORMAT_MODULES).toSorted(),
  );
  for (const dtype of UNPACKED) expect(storedAs(dtype)).toBe('f32');
  expect(UNPACKED.filter(takesQ8)).toEqual([]);
});

describe.each(UNPACKED)('%s', (dtype) => {
  const memory = createMemory();
  const arena = createArena(memory, 0);
  const src = arena.alloc(2 ** 17);
  const dst = arena.alloc(2 ** 17);
  const { repack } = withUnpackedFormats({ format: () => ({}) } as unknown as Kernels, memory).format(dtype);

  /** Rows in panels of eight: weight (o, k) lies at [o / 8][k][o % 8]; rows missing in the last panel are +0. */
  const fillsPanels = (kernel: Repack) =>
    fc.property(weightSource, fc.nat(17), fc.nat(2), fc.nat(3), (source, nRows, nBlocks, skew) => {
      const nIn = nBlocks * DTYPES[dtype].blockSize;
      const bytes = weightBytes(source, dtype, nRows, nIn);
      arena.bytes(src + skew, bytes.length).set(bytes);
      const nFloats = packedBytes(dtype, nRows, nIn) / 4;
      arena.f32(dst, nFloats + 1).fill(NaN);
      const finite = kernel(dst, src + skew, nRows, nIn);

      const values = new Float32Array(nRows * nIn);
      FORMATS[dtype].unpack(bytes, 0, values, 0, values.length);
      const expected = new Float32Array(nFloats);
      values.forEach((w, i) => {
        const [o, k] = [Math.floor(i / nIn), i % nIn];
        expected[(Math.floor(o / 8) * nIn + k) * 8 + (o % 8)] = w;
      });
      const packed = arena.f32(dst, nFloats + 1);
      return (
        firstBitDifference(packed.subarray(0, nFloats), expected) === -1 &&
        Number.isNaN(packed[nFloats]) &&
        finite === (values.every(Number.isFinite) ? 1 : 0)
      );
    });

  test('rows are unpacked exactly into panels of f32', () => {
    fc.assert(fillsPanels(repack), { numRuns: 40, seed: 2 });
  });

  test('mutants: a last panel that is not cleared, rows side by side, all called finite', () => {
    const mutants: Repack[] = [
      (to, from, nRows, nIn) => repack(to, from, Math.max(0, nRows - 1), nIn),
      (to, from, nRows, nIn) => {
        const finite = repack(to, from, nRows, nIn);
        FORMATS[dtype].unpack(
          arena.bytes(from, ((nRows * nIn) / DTYPES[dtype].blockSize) * DTYPES[dtype].blockBytes),
          0,
          arena.f32(to, nRows * nIn),
          0,
          nRows * nIn,
        );
        return finite;
      },
      (to, from, nRows, nIn) => {
        repack(to, from, nRows, nIn);
        return 1;
      },
    ];
    const isAlwaysFinite = dtype === 'nvfp4'; // its scales are
    for (const mutant of isAlwaysFinite ? mutants.slice(0, 2) : mutants) {
      expect(fc.check(fillsPanels(mutant), { numRuns: 100, seed: 2, endOnFailure: true }).failed).toBe(true);
    }
  });
});

const WIDE = { dim: 256, hiddenDim: 256, nHeads: 4, nKvHeads: 2, headDim: 64, ropeDim: 64, vocab: 40, nLayers: 1 };

describe('memory', () => {
  test.each(UNPACKED)('%s: four bytes for each weight of a matrix are counted', (dtype) => {
    const need = (format: typeof dtype | 'f32') => {
      const { config, tensors } = tinyLlama({ seed: 1, dtype: format, config: WIDE });
      return weightsNeed(optimize(buildLlama(config, tensors, 'f32'))).nBytes;
    };
    expect(need(dtype)).toBe(need('f32'));
  });

  test('a model whose file fits and whose f32 does not is refused before a byte is read', async () => {
    const { config, tensors } = tinyLlama({ seed: 1, dtype: 'tq2_0', config: WIDE });
    let nReads = 0;
    // 5.4 GB as f32, 0.34 GB in the file.
    const nIn = 256;
    const vocab = 40 * 2 ** 17;
    const large = new Map<string, TensorInfo>();
    for (const [name, info] of tensors) {
      const source = {
        ...info.source,
        read: async () => {
          nReads++;
        },
      };
      const isVocab = name === 'token_embd.weight' || name === 'output.weight';
      large.set(name, isVocab ? { ...info, source, shape: [vocab, nIn], nBytes: vocab * 66 } : { ...info, source });
    }
    const graph = buildLlama({ ...config, vocab }, large, 'f32');
    const load = createWasmExecutor({ graph, tensors: large, host: HOST, kernels: 'simd' });
    await expect(load).rejects.toThrow(CapacityError);
    await expect(load).rejects.toThrow(/tq2_0 matrix \[5242880, 256\] needs 5368709120 bytes/);
    expect(nReads).toBe(0);
  });
});
