// y[t, i] = g[i] * x[t, i] / sqrt(mean_i(x[t, i]^2) + eps); y may be x.    Twin: src/ops/rms_norm.ts
import { sumSquaresRow } from './lanes';

export function rmsNormF32(y: usize, x: usize, g: usize, nTokens: i32, dim: i32, eps: f32): void {
  const rowBytes = (<usize>dim) << 2;
  const simdBytes = (<usize>(dim & ~3)) << 2;
  for (let t = 0; t < nTokens; t++, x += rowBytes, y += rowBytes) {
    const mean = sumSquaresRow(x, dim) / <f32>dim;
    const r: f32 = 1 / sqrt<f32>(mean + eps);
    const r4 = f32x4.splat(r);
    let i: usize = 0;
    for (; i < simdBytes; i += 16) {
      v128.store(y + i, f32x4.mul(f32x4.mul(v128.load(x + i), r4), v128.load(g + i)));
    }
    for (; i < rowBytes; i += 4) store<f32>(y + i, load<f32>(x + i) * r * load<f32>(g + i));
  }
}
