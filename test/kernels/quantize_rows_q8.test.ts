import { ACTIVATION_BLOCK_BYTES } from '../../src/exec/wasm/layout.ts';
import { BLOCK_SIZE } from '../../src/quant/block.ts';
import { assertSameBits } from '../support/kernel_property.ts';
import { quantizeMutants, readCodes, testQuantize } from '../support/quantize_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

/** With its mutants: quantize_cases.ts. */
describeBuilds('quantize_rows_q8', (bench) => {
  const { quantizeRowsQ8 } = bench.kernels;
  const mutants = quantizeMutants(bench, quantizeRowsQ8);
  const nBytes = ACTIVATION_BLOCK_BYTES[bench.build];
  const isRelaxed = bench.build === 'relaxed';
  const read = (record: DataView) => {
    const codes = readCodes(bench, record, BLOCK_SIZE);
    const at = isRelaxed ? BLOCK_SIZE : 2 * BLOCK_SIZE; // behind the codes
    const scale = record.getFloat32(at, true);
    if (!isRelaxed) return { codes, scale, sums: [0 - record.getInt32(at + 4, true)] };
    const negatives = codes.reduce((sum, code) => sum + Math.min(code, 0), 0);
    assertSameBits('negatives', [0 - record.getInt32(at + 8, true)], [negatives]);
    return { codes, scale, sums: [0 - record.getInt16(at + 4, true) - record.getInt16(at + 6, true)] };
  };
  testQuantize(bench, 'quantizeRowsQ8', quantizeRowsQ8, BLOCK_SIZE, nBytes, read, mutants);
});
