/**
 * The 4-bit floats of mxfp4 and nvfp4: E2M1, one sign bit, two exponent bits, one fraction bit.
 *
 *   code    0  1    2  3    4  5  6  7    8..15
 *   value   0  0.5  1  1.5  2  3  4  6    the same, negative (8 is 0 here, without a sign)
 *
 * They are kept doubled, which makes them integers; the scales beside them are halved.
 * Source: OCP Microscaling Formats (MX) v1.0, table 5; kvalues_mxfp4 of ggml-common.h.
 */
export const FP4_DOUBLED: readonly number[] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/** The largest value, and the largest distance of a value inside the range to its nearest neighbour. */
export const FP4_MAX = 6;
export const FP4_HALF_STEP = 1;

const { fround } = Math;

/**
 * The code whose value is nearest to x, the lowest of equals; unit: the halved scale. Distances are f32.
 * Source: best_index_mxfp4 of ggml-quants.c.
 */
export function nearestFp4(x: number, unit: number): number {
  let nearest = 0;
  let least = Math.abs(x);
  for (let code = 1; code < FP4_DOUBLED.length; code++) {
    const distance = Math.abs(fround(fround(FP4_DOUBLED[code]! * unit) - x));
    if (distance < least) {
      nearest = code;
      least = distance;
    }
  }
  return nearest;
}
