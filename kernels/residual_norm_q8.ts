// sum = a + b, norm = rms_norm(sum), and q = norm as blocks of int8 codes.    Twin: src/ops/residual_norm.ts
import { codeGroup } from './blocks/coded_group';
import { groupTokens } from './blocks/q8_record';
import { residualNormF32 } from './residual_norm_f32';

/** See NormKernels in src/exec/wasm/norm_kernels.ts. */
export function residualNormQ8(
  sum: usize,
  norm: usize,
  q: usize,
  a: usize,
  b: usize,
  g: usize,
  nTokens: i32,
  dim: i32,
  eps: f32,
  blockSize: i32,
): void {
  const nGrouped = groupTokens(nTokens);
  const groupBytes = (<usize>(nGrouped * dim)) << 2;
  for (let t = 0; t < nTokens; t += nGrouped, sum += groupBytes, norm += groupBytes, a += groupBytes, b += groupBytes) {
    const n = min(nGrouped, nTokens - t);
    residualNormF32(sum, norm, a, b, g, n, dim, eps);
    q = codeGroup(q, norm, n, nGrouped, dim, blockSize);
  }
}
