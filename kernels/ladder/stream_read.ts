// The rate at which one core reads memory: vector loads, front to back, and nothing else to do.

/**
 * Reads nBytes (a multiple of 128) from `from` on, as four streams, each through a quarter. Gives the sum of all 32-bit words,
 * so that every load is needed.
 *
 * Four streams read up to a tenth faster than one. Quarters that are a large power of two apart are slower: their lines compete for
 * the same places in caches and memory.
 */
export function streamRead(from: usize, nBytes: usize): i32 {
  const quarter = nBytes >> 2;
  let p0 = from;
  let p1 = p0 + quarter;
  let p2 = p1 + quarter;
  let p3 = p2 + quarter;
  let a0 = i32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let a4 = a0;
  let a5 = a0;
  let a6 = a0;
  let a7 = a0;
  for (const end = p0 + quarter; p0 < end; p0 += 32) {
    a0 = i32x4.add(a0, v128.load(p0));
    a1 = i32x4.add(a1, v128.load(p0, 16));
    a2 = i32x4.add(a2, v128.load(p1));
    a3 = i32x4.add(a3, v128.load(p1, 16));
    a4 = i32x4.add(a4, v128.load(p2));
    a5 = i32x4.add(a5, v128.load(p2, 16));
    a6 = i32x4.add(a6, v128.load(p3));
    a7 = i32x4.add(a7, v128.load(p3, 16));
    p1 += 32;
    p2 += 32;
    p3 += 32;
  }
  const first = i32x4.add(i32x4.add(a0, a1), i32x4.add(a2, a3));
  const sum = i32x4.add(first, i32x4.add(i32x4.add(a4, a5), i32x4.add(a6, a7)));
  return (
    i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + (i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3))
  );
}
