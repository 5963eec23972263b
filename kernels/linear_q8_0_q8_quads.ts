// linear_q8_0_q8.ts with four products to one instruction, where the host has it; the same bits.    Twin: src/ops/linear_q8.ts
import { codedVectors, tiledTokens } from './blocks/coded_vectors';
import { QuadDots } from './blocks/dot_forms';
import { BLOCK_SIZE } from './blocks/q8_record';
import { SignedPanels, signedProduct } from './blocks/signed_product';
import { firstBitsOfBytes } from './lanes';
import { linearQ80Q8, Q80Records, RECORD_BYTES, SCALES, unpackScales } from './linear_q8_0_q8';

/** See LinearQ8 in src/exec/wasm/kernels.ts. In the plain build this is linearQ80Q8. */
export function linearQ80Q8Quads(
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
  if (!ASC_FEATURE_RELAXED_SIMD) {
    linearQ80Q8(y, yStride, q, nTokens, nIn, w, nOut, firstPanel, nPanels, scratch);
    return;
  }
  const yBytes = (<usize>yStride) << 2;
  const nBlocks = nIn / BLOCK_SIZE;
  const endPanel = firstPanel + nPanels;
  const nTiled = tiledTokens(nTokens);
  if (nTiled > 0) {
    signedProduct<Q80Signed>(y, yBytes, q, nTiled, nBlocks, w, nOut, firstPanel, endPanel, scratch);
  }
  codedVectors<Q80Records<QuadDots>>(y, yBytes, q, nTiled, nTokens, nBlocks, w, nOut, firstPanel, endPanel);
}

/** Unpacked to codes as i8, for several tokens. */
class Q80Signed implements SignedPanels {
  recordBytes(): usize {
    return RECORD_BYTES;
  }

  unpack(codes: usize, scales: usize, record: usize, nBlocks: i32): void {
    for (let b = 0; b < nBlocks; b++, record += RECORD_BYTES, scales += 64) {
      for (let i: usize = 0; i < SCALES; i += 16, codes += 16) {
        v128.store(codes, v128.xor(v128.load(record + i), firstBitsOfBytes()));
      }
      unpackScales(scales, record + SCALES);
    }
  }
}
