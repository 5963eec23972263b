// y = layer_norm(x), and q = y as blocks of int8 codes, while a group of rows is in a near cache.    Twin: src/ops/layer_norm.ts
import { codeGroup } from './blocks/coded_group';
import { groupTokens } from './blocks/q8_record';
import { layerNormF32 } from './layer_norm_f32';

/** See NormKernels in src/exec/wasm/norm_kernels.ts. */
export function layerNormQ8(
  y: usize,
  q: usize,
  x: usize,
  g: usize,
  b: usize,
  nTokens: i32,
  dim: i32,
  eps: f32,
  blockSize: i32,
): void {
  const nGrouped = groupTokens(nTokens);
  const groupBytes = (<usize>(nGrouped * dim)) << 2;
  for (let t = 0; t < nTokens; t += nGrouped, y += groupBytes, x += groupBytes) {
    const n = min(nGrouped, nTokens - t);
    layerNormF32(y, x, g, b, n, dim, eps);
    q = codeGroup(q, y, n, nGrouped, dim, blockSize);
  }
}
