// sum[t, i] = a[t, i] + b[t, i], and norm[t, i] = g[i] * sum[t, i] / sqrt(mean_i(sum[t, i]^2) + eps).    Twin: src/ops/residual_norm.ts
import { addLanes, loadLanes, storeLanes } from './lanes';

/** See NormKernels in src/exec/wasm/norm_kernels.ts. */
export function residualNormF32(
  sum: usize,
  norm: usize,
  a: usize,
  b: usize,
  g: usize,
  nTokens: i32,
  dim: i32,
  eps: f32,
): void {
  const rowBytes = (<usize>dim) << 2;
  const simdBytes = (<usize>(dim & ~3)) << 2;
  for (let t = 0; t < nTokens; t++, sum += rowBytes, norm += rowBytes, a += rowBytes, b += rowBytes) {
    // The first sweep adds, and adds up the squares as sumSquaresRow does.
    let lanes = f32x4.splat(0);
    for (let i: usize = 0; i < simdBytes; i += 16) {
      const v = f32x4.add(v128.load(a + i), v128.load(b + i));
      v128.store(sum + i, v);
      lanes = f32x4.add(lanes, f32x4.mul(v, v));
    }
    if (dim & 3) {
      const v = f32x4.add(loadLanes(a + simdBytes, dim & 3), loadLanes(b + simdBytes, dim & 3));
      storeLanes(sum + simdBytes, v, dim & 3);
      lanes = f32x4.add(lanes, f32x4.mul(v, v));
    }
    const r: f32 = 1 / sqrt<f32>(addLanes(lanes) / <f32>dim + eps);
    const r4 = f32x4.splat(r);
    let i: usize = 0;
    for (; i < simdBytes; i += 16) {
      v128.store(norm + i, f32x4.mul(f32x4.mul(v128.load(sum + i), r4), v128.load(g + i)));
    }
    for (; i < rowBytes; i += 4) store<f32>(norm + i, load<f32>(sum + i) * r * load<f32>(g + i));
  }
}
