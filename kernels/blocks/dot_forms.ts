// The two forms of dot products of bytes, as a parameter of what multiplies blocks.
//
//   pairs   sums of pairs of products in 16-bit lanes, widened once for a block: two instructions a product on every processor
//           (relaxed build); pairs of i16 in the plain build
//   quads   four products are added to a 32-bit lane by one instruction where the processor has it (AVX-VNNI, Arm's dot
//           product), by five where it has not; relaxed build. V8 11.3's first compiler does it wrong: the host is asked before,
//           see src/exec/wasm/dot_form.ts
//
// Both are exact, so which one runs shows in nothing but time.
import { dotStep, dotSums } from '../lanes';
import { SUM_AT, startOf } from './q8_record';

/** Classes have methods and no fields: see linearPanels in linear_f32.ts. */
export interface DotForm {
  /** What sums begin with: -(2^log2Offset * sum of the codes of the record). */
  start(record: usize, log2Offset: i32): v128;
  /** sums + a . w; w: bytes in 0..127 (plain build: a, w i16). */
  step(sums: v128, a: v128, w: v128): v128;
  /** The four i32 that were summed. */
  inner(sums: v128): v128;
  /** Relaxed build: four i32 sums + the products of int8 codes w and magnitudes a, 0..127; ones: onesOfWords(). */
  signed(sums: v128, w: v128, a: v128, ones: v128): v128;
}

export class PairDots implements DotForm {
  start(record: usize, log2Offset: i32): v128 {
    return startOf(record, log2Offset);
  }

  step(sums: v128, a: v128, w: v128): v128 {
    return dotStep(sums, a, w);
  }

  inner(sums: v128): v128 {
    return dotSums(sums);
  }

  /**
   * Pairs of products fit 16 bits: 2 * 128 * 127 < 2^15. V8 multiplies with ones for extadd_pairwise too, but fetches them anew each time, which costs
   * a quarter of the speed under 256-bit vectors.
   */
  signed(sums: v128, w: v128, a: v128, ones: v128): v128 {
    return i32x4.add(sums, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(w, a), ones));
  }
}

export class QuadDots implements DotForm {
  start(record: usize, log2Offset: i32): v128 {
    return i32x4.shl(i32x4.extadd_pairwise_i16x8_s(v128.load32_splat(record, SUM_AT)), log2Offset);
  }

  step(sums: v128, a: v128, w: v128): v128 {
    return i32x4.relaxed_dot_i8x16_i7x16_add_s(a, w, sums);
  }

  inner(sums: v128): v128 {
    return sums;
  }

  signed(sums: v128, w: v128, a: v128, _ones: v128): v128 {
    return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, a, sums);
  }
}
