// y[t, i] = x[t, i], i < width: some columns of rows that are xStride apart, made dense.    Twin: src/ops/slice.ts
export function sliceF32(y: usize, x: usize, xStride: i32, nTokens: i32, width: i32): void {
  const yBytes = (<usize>width) << 2;
  const xBytes = (<usize>xStride) << 2;
  for (let t = 0; t < nTokens; t++, y += yBytes, x += xBytes) memory.copy(y, x, yBytes);
}
