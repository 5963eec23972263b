import { SUPER_ACTIVATION_BLOCK_BYTES } from '../../src/exec/wasm/layout.ts';
import { SUPER_BLOCK_SIZE } from '../../src/quant/ggml_block.ts';
import { assertSameBits } from '../support/kernel_property.ts';
import { quantizeMutants, readCodes, testQuantize } from '../support/quantize_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

const N_SUMS = 16;
/** Bytes before the end of a record: sums of 16 codes in two parts, of 16 codes, and of 32. */
const PAIRS_AT = 112;
const SUMS_16_AT = 48;
const SUMS_32_AT = 16;
/** Bytes between codes and sums; the scale is the first four of them. */
const SCALE_BYTES = 16;

/** With its mutants: quantize_cases.ts. */
describeBuilds('quantize_rows_q8_super', (bench) => {
  const { quantizeRowsQ8Super } = bench.kernels;
  const nBytes = SUPER_ACTIVATION_BLOCK_BYTES[bench.build];
  const read = (record: DataView) => {
    const i16 = (at: number, i: number): number => record.getInt16(nBytes - at + 2 * i, true);
    const codes = readCodes(bench, record, SUPER_BLOCK_SIZE);
    const sums = Array.from({ length: N_SUMS }, (_, j) => i16(SUMS_16_AT, j));
    // The other sums, each out of the codes: columns 0 and 1 (mod 4) apart from 2 and 3; pairs of 16.
    const parts = Array.from({ length: 2 * N_SUMS }, (_, p) =>
      codes.slice(8 * (p & ~1), 8 * (p & ~1) + 16).reduce((sum, c, i) => ((i >> 1) % 2 === p % 2 ? sum - c : sum), 0),
    );
    assertSameBits(
      'minus sums in two parts',
      Array.from(parts, (_, p) => i16(PAIRS_AT, p)),
      parts,
    );
    const pairs = Array.from({ length: N_SUMS / 2 }, (_, j) => sums[2 * j]! + sums[2 * j + 1]!);
    assertSameBits(
      'sums of 32',
      Array.from(pairs, (_, j) => i16(SUMS_32_AT, j)),
      pairs,
    );
    return { codes, scale: record.getFloat32(nBytes - PAIRS_AT - SCALE_BYTES, true), sums };
  };
  testQuantize(
    bench,
    'quantizeRowsQ8Super',
    quantizeRowsQ8Super,
    SUPER_BLOCK_SIZE,
    nBytes,
    read,
    quantizeMutants(bench, quantizeRowsQ8Super),
  );
});
