// y[t, i] = g[i] * (x[t, i] - mean) / sqrt(mean of the squared differences + eps) + b[i]; y may be x.    Twin: src/ops/layer_norm.ts
import { sumRow, sumSquaresRow } from './lanes';

export function layerNormF32(y: usize, x: usize, g: usize, b: usize, nTokens: i32, dim: i32, eps: f32): void {
  const rowBytes = (<usize>dim) << 2;
  const simdBytes = (<usize>(dim & ~3)) << 2;
  for (let t = 0; t < nTokens; t++, x += rowBytes, y += rowBytes) {
    // The differences lie in y until the row is done.
    const mean = sumRow(x, dim) / <f32>dim;
    const mean4 = f32x4.splat(mean);
    let i: usize = 0;
    for (; i < simdBytes; i += 16) v128.store(y + i, f32x4.sub(v128.load(x + i), mean4));
    for (; i < rowBytes; i += 4) store<f32>(y + i, load<f32>(x + i) - mean);

    const variance = sumSquaresRow(y, dim) / <f32>dim;
    const r: f32 = 1 / sqrt<f32>(variance + eps);
    const r4 = f32x4.splat(r);
    for (i = 0; i < simdBytes; i += 16) {
      const scaled = f32x4.mul(f32x4.mul(v128.load(y + i), r4), v128.load(g + i));
      v128.store(y + i, f32x4.add(scaled, v128.load(b + i)));
    }
    for (; i < rowBytes; i += 4) store<f32>(y + i, load<f32>(y + i) * r * load<f32>(g + i) + load<f32>(b + i));
  }
}
