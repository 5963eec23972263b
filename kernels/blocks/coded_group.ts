// Rows that were just computed as a group of quantized tokens, in blocks of 32 or of 256: for kernels that make rows and round them.
import { quantizeGroup } from '../quantize_rows_q8';
import { quantizeGroupSuper } from '../quantize_rows_q8_super';
import { SUPER_BLOCK } from './q8_super_record';

/** Dense rows y [n, dim]. Gives the address behind the group. */
export function codeGroup(q: usize, y: usize, n: i32, nGrouped: i32, dim: i32, blockSize: i32): usize {
  return blockSize === SUPER_BLOCK
    ? quantizeGroupSuper(q, y, dim, n, nGrouped, dim)
    : quantizeGroup(q, y, dim, n, nGrouped, dim);
}
