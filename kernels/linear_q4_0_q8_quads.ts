// linear_q4_0_q8.ts with four products to one instruction, where the host has it; the same bits.    Twin: src/ops/linear_q8.ts
import { PairDots, QuadDots } from './blocks/dot_forms';
import { linearQ40 } from './linear_q4_0_q8';

/** See LinearQ8 in src/exec/wasm/kernels.ts. In the plain build this is linearQ40Q8. */
export function linearQ40Q8Quads(
  y: usize,
  yStride: i32,
  q: usize,
  nTokens: i32,
  nIn: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  nPanels: i32,
  scratch: usize,
): void {
  if (ASC_FEATURE_RELAXED_SIMD) {
    linearQ40<QuadDots>(y, yStride, q, nTokens, nIn, w, nOut, firstPanel, nPanels, scratch);
  } else {
    linearQ40<PairDots>(y, yStride, q, nTokens, nIn, w, nOut, firstPanel, nPanels, scratch);
  }
}
