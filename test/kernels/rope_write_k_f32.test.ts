import { testKernel } from '../support/kernel_property.ts';
import { ropeWriteCases } from '../support/rope_write_cases.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('rope_write_k_f32', ({ kernels, memory }) => {
  const { ropeWriteKF32 } = kernels;
  testKernel({
    name: 'ropeWriteKF32',
    kernel: ropeWriteKF32,
    sameBits: ropeWriteCases(memory),
    mutants: {
      'rows are not turned': (k, headStride, position, x, xStride, _at, _cos, _sin, nTokens, nKvHeads, headDim) =>
        kernels.kvWriteKF32(k, headStride, position, x, xStride, nTokens, nKvHeads, headDim),
      'the other layout': (k, headStride, position, x, xStride, at, cos, sin, n, nKvHeads, headDim, ropeDim, isPairs) =>
        ropeWriteKF32(k, headStride, position, x, xStride, at, cos, sin, n, nKvHeads, headDim, ropeDim, 1 - isPairs),
      'sine and cosine exchanged': (k, headStride, position, x, xStride, at, cos, sin, ...sizes) =>
        ropeWriteKF32(k, headStride, position, x, xStride, at, sin, cos, ...sizes),
      'all turned as the first': (k, headStride, position, x, xStride, at, cos, sin, nTokens, ...sizes) => {
        for (let t = 0; t < nTokens; t++) {
          ropeWriteKF32(k, headStride, position + t, x + 4 * t * xStride, xStride, at, cos, sin, 1, ...sizes);
        }
      },
      'from position 0 on': (k, headStride, _position, ...rest) => ropeWriteKF32(k, headStride, 0, ...rest),
      'rows taken as dense': (
        k,
        headStride,
        position,
        x,
        _xStride,
        at,
        cos,
        sin,
        nTokens,
        nKvHeads,
        headDim,
        ...rest
      ) =>
        ropeWriteKF32(
          ...[k, headStride, position, x, nKvHeads * headDim, at, cos, sin, nTokens, nKvHeads, headDim, ...rest],
        ),
      'what is not turned stays behind': (
        k,
        headStride,
        position,
        x,
        xStride,
        at,
        cos,
        sin,
        n,
        nKvHeads,
        headDim,
        ...rest
      ) =>
        ropeWriteKF32(
          k,
          headStride,
          position,
          x,
          xStride,
          at,
          cos,
          sin,
          n,
          nKvHeads,
          Math.min(headDim, rest[0]),
          ...rest,
        ),
    },
  });
});
