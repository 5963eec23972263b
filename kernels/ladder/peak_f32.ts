// The peak of f32 arithmetic: multiplications and additions in registers, no memory.

/**
 * nRounds times 112 operations: a[i] += a[i + 1] * tiny in four lanes, in a ring of 14 sums: with the factor and one product that fills sixteen registers, as the 4 x 8 tile
 * of linear_f32 does with its sums, weights and activations.
 *
 * The neighbour makes every product new: a compiler that takes invariant products out of the loop would leave only the
 * additions. 14 products and 14 additions take longer than the latency of one pair, so throughput is what limits. All sums
 * stay at 1 (1 + 2^-30 rounds to 1) and no number is subnormal.
 */
export function peakF32(nRounds: i32): f32 {
  const tiny = f32x4.splat(<f32>1 / <f32>1073741824);
  let a0 = f32x4.splat(1);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let a4 = a0;
  let a5 = a0;
  let a6 = a0;
  let a7 = a0;
  let a8 = a0;
  let a9 = a0;
  let a10 = a0;
  let a11 = a0;
  let a12 = a0;
  let a13 = a0;
  for (let i = 0; i < nRounds; i++) {
    a0 = f32x4.add(a0, f32x4.mul(a1, tiny));
    a1 = f32x4.add(a1, f32x4.mul(a2, tiny));
    a2 = f32x4.add(a2, f32x4.mul(a3, tiny));
    a3 = f32x4.add(a3, f32x4.mul(a4, tiny));
    a4 = f32x4.add(a4, f32x4.mul(a5, tiny));
    a5 = f32x4.add(a5, f32x4.mul(a6, tiny));
    a6 = f32x4.add(a6, f32x4.mul(a7, tiny));
    a7 = f32x4.add(a7, f32x4.mul(a8, tiny));
    a8 = f32x4.add(a8, f32x4.mul(a9, tiny));
    a9 = f32x4.add(a9, f32x4.mul(a10, tiny));
    a10 = f32x4.add(a10, f32x4.mul(a11, tiny));
    a11 = f32x4.add(a11, f32x4.mul(a12, tiny));
    a12 = f32x4.add(a12, f32x4.mul(a13, tiny));
    a13 = f32x4.add(a13, f32x4.mul(a0, tiny));
  }
  const sum = f32x4.add(
    f32x4.add(f32x4.add(a0, a1), f32x4.add(a2, a3)),
    f32x4.add(
      f32x4.add(f32x4.add(a4, a5), f32x4.add(a6, a7)),
      f32x4.add(f32x4.add(f32x4.add(a8, a9), f32x4.add(a10, a11)), f32x4.add(a12, a13)),
    ),
  );
  return f32x4.extract_lane(sum, 0);
}
