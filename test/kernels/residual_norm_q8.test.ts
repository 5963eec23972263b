import { add } from '../../src/ops/add.ts';
import { rmsNorm } from '../../src/ops/rms_norm.ts';
import { testCodedNorm } from '../support/coded_norm.ts';

/** The sum over its first input. With its mutants: coded_norm.ts. */
testCodedNorm({
  title: 'residual_norm_q8',
  name: 'residualNormQ8',
  nRows: 2,
  nVectors: 1,
  kernel:
    ({ residualNormQ8 }) =>
    ({ y, q, rows: [a, b], vectors: [g], nTokens, dim, eps, blockSize }) =>
      residualNormQ8(a!, y, q, a!, b!, g!, nTokens, dim, eps, blockSize),
  twin: ([a, b], [g], eps) => {
    const first = add(a!, b!);
    return { norm: rmsNorm(first, g!, eps), first };
  },
  mutants: ({ residualNormQ8 }) => ({
    'the sum is lost': ({ y, q, rows: [a, b], vectors: [g], nTokens, dim, eps, blockSize }) =>
      residualNormQ8(y, y, q, a!, b!, g!, nTokens, dim, eps, blockSize),
  }),
});
