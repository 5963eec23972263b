import { layerNorm } from '../../src/ops/layer_norm.ts';
import { testCodedNorm } from '../support/coded_norm.ts';

/** With its mutants: coded_norm.ts. */
testCodedNorm({
  title: 'layer_norm_q8',
  name: 'layerNormQ8',
  nRows: 1,
  nVectors: 2,
  kernel:
    ({ layerNormQ8 }) =>
    ({ y, q, rows: [x], vectors: [g, b], nTokens, dim, eps, blockSize }) =>
      layerNormQ8(y, q, x!, g!, b!, nTokens, dim, eps, blockSize),
  twin: ([x], [g, b], eps) => ({ norm: layerNorm(x!, g!, b!, eps) }),
  mutants: ({ layerNormQ8 }) => ({
    'scale and bias changed over': ({ y, q, rows: [x], vectors: [g, b], nTokens, dim, eps, blockSize }) =>
      layerNormQ8(y, q, x!, b!, g!, nTokens, dim, eps, blockSize),
  }),
});
