/** The kernels of norms, a part of CoreKernels (kernels.ts), which says how addresses and counts are given. */
export interface NormKernels {
  /** x, y: [nTokens, dim], dense; may be the same.  g: [dim]. */
  rmsNormF32(y: number, x: number, g: number, nTokens: number, dim: number, eps: number): void;
  /**
   * sum = a + b; norm = rms_norm(sum).  All [nTokens, dim], dense; each of sum and norm may be a or b, and norm may be sum, which is
   * then lost.  g: [dim].
   */
  residualNormF32(
    sum: number,
    norm: number,
    a: number,
    b: number,
    g: number,
    nTokens: number,
    dim: number,
    eps: number,
  ): void;
  /** x, y: [nTokens, dim], dense; may be the same.  g, b: [dim]. */
  layerNormF32(y: number, x: number, g: number, b: number, nTokens: number, dim: number, eps: number): void;
  /** rmsNormF32, and its rows at q as quantizeRowsQ8 (blockSize 32) or quantizeRowsQ8Super (256) would write them. */
  rmsNormQ8(
    y: number,
    q: number,
    x: number,
    g: number,
    nTokens: number,
    dim: number,
    eps: number,
    blockSize: number,
  ): void;
  /** The same of layerNormF32. */
  layerNormQ8(
    y: number,
    q: number,
    x: number,
    g: number,
    b: number,
    nTokens: number,
    dim: number,
    eps: number,
    blockSize: number,
  ): void;
  /** The same of residualNormF32, whose norm it is that is rounded. */
  residualNormQ8(
    sum: number,
    norm: number,
    q: number,
    a: number,
    b: number,
    g: number,
    nTokens: number,
    dim: number,
    eps: number,
    blockSize: number,
  ): void;
}
