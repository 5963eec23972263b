// Rows of the cache from q4_0 codes to f32, in the order in which attention reads them.    Twin: src/kvcache/coded_rows.ts
import { unpackRows } from './blocks/coded_rows';

/** See CoreKernels in src/exec/wasm/kernels.ts. */
export function kvUnpackQ40(
  y: usize,
  yHeadStride: i32,
  from: usize,
  headStride: i32,
  nGroups: i32,
  nKvHeads: i32,
  headDim: i32,
  isValue: i32,
): void {
  unpackRows(y, yHeadStride, from, headStride, nGroups, nKvHeads, headDim, isValue, 16);
}
