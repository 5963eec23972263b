// Each row of y is one of a, then one of b: [nRows, aWidth + bWidth], all dense.    Twin: src/ops/concat.ts
export function concatF32(y: usize, a: usize, aWidth: i32, b: usize, bWidth: i32, nRows: i32): void {
  const aBytes = (<usize>aWidth) << 2;
  const bBytes = (<usize>bWidth) << 2;
  for (let row = 0; row < nRows; row++, y += aBytes + bBytes, a += aBytes, b += bBytes) {
    memory.copy(y, a, aBytes);
    memory.copy(y + aBytes, b, bBytes);
  }
}
