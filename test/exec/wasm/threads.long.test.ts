import { describe, test } from 'vitest';
import { BUILDS } from '../../support/executors.ts';
import { expectSameBits, SPLIT_FORMS } from '../../support/thread_forms.ts';

/** The property of threads.test.ts over models of two layers, each with one, two and three threads in both builds. */
describe.each(BUILDS)('%s kernels', (build) => {
  test.each(SPLIT_FORMS)('%s weights, %s activations: 1, 2 and 3 threads have the same bits', async (dtype, form) =>
    expectSameBits(build, [dtype, form], [1, 2, 3], 2),
  );
});
