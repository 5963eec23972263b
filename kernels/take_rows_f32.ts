// y[r] = x[rows[r]], dense rows of dim floats.    Twin: src/ops/take_rows.ts
export function takeRowsF32(y: usize, x: usize, rows: usize, nRows: i32, dim: i32): void {
  const rowBytes = (<usize>dim) << 2;
  for (let r = 0; r < nRows; r++, y += rowBytes) {
    memory.copy(y, x + <usize>load<i32>(rows + ((<usize>r) << 2)) * rowBytes, rowBytes);
  }
}
