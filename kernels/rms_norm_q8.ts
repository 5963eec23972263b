// y = rms_norm(x), and q = y as blocks of int8 codes, while a group of rows is in a near cache.    Twin: src/ops/rms_norm.ts
import { codeGroup } from './blocks/coded_group';
import { groupTokens } from './blocks/q8_record';
import { rmsNormF32 } from './rms_norm_f32';

/** See NormKernels in src/exec/wasm/norm_kernels.ts. */
export function rmsNormQ8(
  y: usize,
  q: usize,
  x: usize,
  g: usize,
  nTokens: i32,
  dim: i32,
  eps: f32,
  blockSize: i32,
): void {
  const nGrouped = groupTokens(nTokens);
  const groupBytes = (<usize>(nGrouped * dim)) << 2;
  for (let t = 0; t < nTokens; t += nGrouped, y += groupBytes, x += groupBytes) {
    const n = min(nGrouped, nTokens - t);
    rmsNormF32(y, x, g, n, dim, eps);
    q = codeGroup(q, y, n, nGrouped, dim, blockSize);
  }
}
