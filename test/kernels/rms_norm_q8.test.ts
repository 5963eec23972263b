import { rmsNorm } from '../../src/ops/rms_norm.ts';
import { testCodedNorm } from '../support/coded_norm.ts';

/** With its mutants: coded_norm.ts. */
testCodedNorm({
  title: 'rms_norm_q8',
  name: 'rmsNormQ8',
  nRows: 1,
  nVectors: 1,
  kernel:
    ({ rmsNormQ8 }) =>
    ({ y, q, rows: [x], vectors: [g], nTokens, dim, eps, blockSize }) =>
      rmsNormQ8(y, q, x!, g!, nTokens, dim, eps, blockSize),
  twin: ([x], [g], eps) => ({ norm: rmsNorm(x!, g!, eps) }),
  mutants: ({ layerNormQ8 }) => ({
    'another norm': ({ y, q, rows: [x], vectors: [g], nTokens, dim, eps, blockSize }) =>
      layerNormQ8(y, q, x!, g!, g!, nTokens, dim, eps, blockSize),
  }),
});
