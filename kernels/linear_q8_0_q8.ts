// y[t, o] = sum over blocks b of (dw[o, b] * da[t, b]) * sum_i cw[o, i] * ca[t, i], b rising, from +0.
//                                                                              Twin: src/ops/linear_q8.ts
// The inner sum is an exact integer. Codes are stored as code + 128, 0..255. Lanes are rows: the four codes of a row are the bytes
// of its 32-bit lane.
//
// One token, relaxed build: a relaxed dot product needs one operand in 0..127, and the magnitude of an activation is. Its sign goes
// to the weight: where a < 0, w * a = |a| * -w = |a| * (~w + 1). So the sum over a block is that of |a| * (w ^ m), m = -1 where
// a < 0 and 0 elsewhere, plus the sum of |a| where a < 0, which no weight changes: sums start with it. (~w fits int8 where -w does
// not.) Code + 128 is the code with its first bit turned, so the mask is turned in this bit too.
import { CodedRecords, codedVectors, STEP_BYTES, tiledTokens } from './blocks/coded_vectors';
import { DotForm, PairDots } from './blocks/dot_forms';
import { BLOCK_SIZE, startOf, startOfSigned } from './blocks/q8_record';
import { WidePanels, wideProduct } from './blocks/wide_product';
import { bytesOfWords, dotStep, f16ToF32x4, firstBitsOfBytes, onesOfWords, zeros } from './lanes';

/** One record: 16 rows x 32 columns, [column / 4][row][column % 4], then 16 scales; see src/exec/wasm/layout.ts. */
export const SCALES: usize = 512;
export const RECORD_BYTES: usize = 544;
/** w = d * (stored - 128). */
const LOG2_CODE_OFFSET = 7;

/** See LinearQ8 in src/exec/wasm/kernels.ts. */
export function linearQ80Q8(
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
  const yBytes = (<usize>yStride) << 2;
  const nBlocks = nIn / BLOCK_SIZE;
  const endPanel = firstPanel + nPanels;
  const nTiled = tiledTokens(nTokens);
  if (nTiled > 0) {
    wideProduct<Q80Codes>(y, yBytes, q, nTiled, nBlocks, w, nOut, firstPanel, endPanel, scratch);
  }
  codedVectors<Q80Records<PairDots>>(y, yBytes, q, nTiled, nTokens, nBlocks, w, nOut, firstPanel, endPanel);
}

/** Unpacked, for several tokens. */
class Q80Codes implements WidePanels {
  recordBytes(): usize {
    return RECORD_BYTES;
  }

  unpack(codes: usize, scales: usize, record: usize, nBlocks: i32): void {
    for (let b = 0; b < nBlocks; b++, record += RECORD_BYTES, scales += 64) {
      for (let i: usize = 0; i < SCALES; i += STEP_BYTES, codes += 64) {
        for (let g: usize = 0; g < STEP_BYTES; g += 16, codes += 16) {
          const c = v128.xor(v128.load(record + i + g), firstBitsOfBytes());
          v128.store(codes, i16x8.shr_s(i16x8.shl(c, 8), 8)); // columns 0 2
          v128.store(codes, i16x8.shr_s(c, 8), 64); // columns 1 3
        }
      }
      unpackScales(scales, record + SCALES);
    }
  }
}

/** Sixteen scales as f32. */
export function unpackScales(to: usize, scales: usize): void {
  for (let g: usize = 0; g < 4; g++) v128.store(to + (g << 4), f16ToF32x4(v128.load16x4_s(scales + (g << 3))));
}

/** As they lie, for one token. */
export class Q80Records<D extends DotForm> implements CodedRecords {
  codeBytes(): usize {
    return SCALES;
  }

  start(q: usize): v128 {
    return ASC_FEATURE_RELAXED_SIMD ? startOfSigned(q) : startOf(q, LOG2_CODE_OFFSET);
  }

  // Step i / 64 has columns i / 16 .. i / 16 + 3.

  first(q: usize, i: usize): v128 {
    if (ASC_FEATURE_RELAXED_SIMD) return i8x16.abs(v128.load32_splat(q + (i >> 4)));
    return v128.load32_splat(q + (i >> 3));
  }

  second(q: usize, i: usize): v128 {
    if (!ASC_FEATURE_RELAXED_SIMD) return v128.load32_splat(q + (i >> 3), 4);
    const negative = i8x16.lt_s(v128.load32_splat(q + (i >> 4)), zeros());
    return v128.xor(negative, firstBitsOfBytes());
  }

  third(_q: usize, _i: usize): v128 {
    return i32x4.splat(0);
  }

  fourth(_q: usize, _i: usize): v128 {
    return i32x4.splat(0);
  }

  mask(): v128 {
    return ASC_FEATURE_RELAXED_SIMD ? onesOfWords() : bytesOfWords();
  }

  dot(sums: v128, c: v128, first: v128, second: v128, _third: v128, _fourth: v128, mask: v128): v128 {
    if (ASC_FEATURE_RELAXED_SIMD) return changetype<D>(0).signed(sums, v128.xor(c, second), first, mask);
    sums = dotStep(sums, first, v128.and(c, mask));
    return dotStep(sums, second, i16x8.shr_u(c, 8));
  }

  inner(sums: v128): v128 {
    return sums;
  }
}
