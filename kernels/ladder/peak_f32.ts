// The peak of f32 arithmetic: multiplications and additions in registers, no memory.

/**
 * nRounds times 104 operations: a += a * tiny in four lanes of 13 sums. Gives the sum of some of them, so that all are needed.
 *
 * With the factor and one product that is fifteen vectors, all that V8 has on x64 (it keeps one of sixteen for itself); one
 * more and sums would go to memory and back. 13 products and 13 additions take longer than the latency of one pair, so
 * throughput is what limits. Each product is a new one, since products of the same numbers may be taken out of the loop.
 *
 * factor: 2^-30, with which sums stay as they are and no number is subnormal. An argument, since a constant may be made anew for
 * every use.
 */
export function peakF32(nRounds: i32, factor: f32): f32 {
  const tiny = f32x4.splat(factor);
  let a0 = f32x4.splat(1);
  let a1 = f32x4.splat(2);
  let a2 = f32x4.splat(3);
  let a3 = f32x4.splat(4);
  let a4 = f32x4.splat(5);
  let a5 = f32x4.splat(6);
  let a6 = f32x4.splat(7);
  let a7 = f32x4.splat(8);
  let a8 = f32x4.splat(9);
  let a9 = f32x4.splat(10);
  let a10 = f32x4.splat(11);
  let a11 = f32x4.splat(12);
  let a12 = f32x4.splat(13);
  for (let i = 0; i < nRounds; i++) {
    a0 = f32x4.add(a0, f32x4.mul(a0, tiny));
    a1 = f32x4.add(a1, f32x4.mul(a1, tiny));
    a2 = f32x4.add(a2, f32x4.mul(a2, tiny));
    a3 = f32x4.add(a3, f32x4.mul(a3, tiny));
    a4 = f32x4.add(a4, f32x4.mul(a4, tiny));
    a5 = f32x4.add(a5, f32x4.mul(a5, tiny));
    a6 = f32x4.add(a6, f32x4.mul(a6, tiny));
    a7 = f32x4.add(a7, f32x4.mul(a7, tiny));
    a8 = f32x4.add(a8, f32x4.mul(a8, tiny));
    a9 = f32x4.add(a9, f32x4.mul(a9, tiny));
    a10 = f32x4.add(a10, f32x4.mul(a10, tiny));
    a11 = f32x4.add(a11, f32x4.mul(a11, tiny));
    a12 = f32x4.add(a12, f32x4.mul(a12, tiny));
  }
  let sum = a0;
  sum = f32x4.add(sum, a1);
  sum = f32x4.add(sum, a2);
  sum = f32x4.add(sum, a3);
  sum = f32x4.add(sum, a4);
  sum = f32x4.add(sum, a5);
  sum = f32x4.add(sum, a6);
  sum = f32x4.add(sum, a7);
  sum = f32x4.add(sum, a8);
  sum = f32x4.add(sum, a9);
  sum = f32x4.add(sum, a10);
  sum = f32x4.add(sum, a11);
  sum = f32x4.add(sum, a12);
  return f32x4.extract_lane(sum, 0);
}
