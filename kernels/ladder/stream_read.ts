// The rate at which one core reads memory: vector loads, front to back, and nothing else to do.

/**
 * Reads nBytes (a multiple of 128) from `from` on. Gives the sum of all 32-bit words, so that every load is needed.
 * Several streams side by side were tried, as a matrix x vector product has them: they were never faster.
 */
export function streamRead(from: usize, nBytes: usize): i32 {
  let a0 = i32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let a4 = a0;
  let a5 = a0;
  let a6 = a0;
  let a7 = a0;
  for (const end = from + nBytes; from < end; from += 128) {
    a0 = i32x4.add(a0, v128.load(from));
    a1 = i32x4.add(a1, v128.load(from, 16));
    a2 = i32x4.add(a2, v128.load(from, 32));
    a3 = i32x4.add(a3, v128.load(from, 48));
    a4 = i32x4.add(a4, v128.load(from, 64));
    a5 = i32x4.add(a5, v128.load(from, 80));
    a6 = i32x4.add(a6, v128.load(from, 96));
    a7 = i32x4.add(a7, v128.load(from, 112));
  }
  const sum = i32x4.add(
    i32x4.add(i32x4.add(a0, a1), i32x4.add(a2, a3)),
    i32x4.add(i32x4.add(a4, a5), i32x4.add(a6, a7)),
  );
  return (
    i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + (i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3))
  );
}
