// y[t, o] = sum over blocks b of (dw[o, b] * da[t, b]) * sum_i cw[o, i] * ca[t, i], b rising, from +0.
//                                                                              Twin: src/ops/linear_q8.ts
// The inner sum is an exact integer. Codes are stored as code + 8, 0..15; the sum of the block's activations takes the offset
// out again. Lanes are rows: the four codes of a row are the bytes of its 32-bit lane.
import { CodedPanels, codedProduct } from './blocks/coded_product';
import { codedTiles, TILE_TOKENS } from './blocks/coded_tiles';
import { CodedRecords, codedVectors, STEP_BYTES, tiledTokens } from './blocks/coded_vectors';
import { DotForm, PairDots } from './blocks/dot_forms';
import { BLOCK_SIZE } from './blocks/q8_record';
import { f16ToF32x4, nibblesOfBytes, nibblesOfWords } from './lanes';

/** One record: 16 rows x 32 columns, [byte / 4][row][byte % 4], then 16 scales; see src/exec/wasm/layout.ts. */
const SCALES: usize = 256;
const RECORD_BYTES: usize = 288;
/** w = d * (stored - 8). */
const LOG2_CODE_OFFSET = 3;

/** See LinearQ8 in src/exec/wasm/kernels.ts. */
export function linearQ40Q8(
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
  linearQ40<PairDots>(y, yStride, q, nTokens, nIn, w, nOut, firstPanel, nPanels, scratch);
}

/** With products summed in the form D. */
export function linearQ40<D extends DotForm>(
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
  if (nTiled > TILE_TOKENS) {
    codedProduct<Q40Codes, D>(y, yBytes, q, nTiled, nBlocks, w, nOut, firstPanel, endPanel, scratch);
  } else if (ASC_FEATURE_RELAXED_SIMD && nTiled > 0) {
    codedTiles<D>(y, yBytes, q, nTiled, nBlocks, w, nOut, firstPanel, endPanel, scratch, LOG2_CODE_OFFSET);
  }
  codedVectors<Q40Records<D>>(y, yBytes, q, nTiled, nTokens, nBlocks, w, nOut, firstPanel, endPanel);
}

/** Unpacked, for several tokens. */
class Q40Codes implements CodedPanels {
  recordBytes(): usize {
    return RECORD_BYTES;
  }

  log2Offset(): i32 {
    return LOG2_CODE_OFFSET;
  }

  unpack(codes: usize, scales: usize, record: usize, nBlocks: i32): void {
    for (let b = 0; b < nBlocks; b++, record += RECORD_BYTES) {
      for (let i: usize = 0; i < SCALES; i += STEP_BYTES) {
        for (let g: usize = 0; g < STEP_BYTES; g += 16, codes += 16) {
          const c = v128.load(record + i + g);
          if (ASC_FEATURE_RELAXED_SIMD) {
            v128.store(codes, v128.and(c, nibblesOfBytes())); // columns 0..15
            v128.store(codes, v128.and(i16x8.shr_u(c, 4), nibblesOfBytes()), 256); // columns 16..31
          } else {
            v128.store(codes, v128.and(c, nibblesOfWords()));
            v128.store(codes, v128.and(i16x8.shr_u(c, 8), nibblesOfWords()), 64);
            v128.store(codes, v128.and(i16x8.shr_u(c, 4), nibblesOfWords()), 512);
            v128.store(codes, i16x8.shr_u(c, 12), 576);
          }
        }
        if (!ASC_FEATURE_RELAXED_SIMD) codes += 64;
      }
      codes += ASC_FEATURE_RELAXED_SIMD ? 256 : 512;
      for (let g: usize = 0; g < 4; g++, scales += 16) {
        v128.store(scales, f16ToF32x4(v128.load16x4_s(record + (g << 3), SCALES)));
      }
    }
  }
}

/** As they lie, for one token. */
class Q40Records<D extends DotForm> implements CodedRecords {
  codeBytes(): usize {
    return SCALES;
  }

  start(q: usize): v128 {
    return changetype<D>(0).start(q, LOG2_CODE_OFFSET);
  }

  // Step i / 64 has columns i / 16 and i / 16 + 16 on.

  first(q: usize, i: usize): v128 {
    return v128.load32_splat(ASC_FEATURE_RELAXED_SIMD ? q + (i >> 4) : q + (i >> 3));
  }

  second(q: usize, i: usize): v128 {
    if (ASC_FEATURE_RELAXED_SIMD) return v128.load32_splat(q + (i >> 4), 16);
    return v128.load32_splat(q + (i >> 3), 4);
  }

  third(q: usize, i: usize): v128 {
    return ASC_FEATURE_RELAXED_SIMD ? i32x4.splat(0) : v128.load32_splat(q + (i >> 3), 32);
  }

  fourth(q: usize, i: usize): v128 {
    return ASC_FEATURE_RELAXED_SIMD ? i32x4.splat(0) : v128.load32_splat(q + (i >> 3), 36);
  }

  mask(): v128 {
    return ASC_FEATURE_RELAXED_SIMD ? nibblesOfBytes() : nibblesOfWords();
  }

  dot(sums: v128, c: v128, first: v128, second: v128, third: v128, fourth: v128, mask: v128): v128 {
    const dots = changetype<D>(0);
    if (ASC_FEATURE_RELAXED_SIMD) {
      sums = dots.step(sums, first, v128.and(c, mask));
      return dots.step(sums, second, v128.and(i16x8.shr_u(c, 4), mask));
    }
    sums = dots.step(sums, first, v128.and(c, mask));
    sums = dots.step(sums, second, v128.and(i16x8.shr_u(c, 8), mask));
    sums = dots.step(sums, third, v128.and(i16x8.shr_u(c, 4), mask));
    return dots.step(sums, fourth, i16x8.shr_u(c, 12));
  }

  inner(sums: v128): v128 {
    return changetype<D>(0).inner(sums);
  }
}
