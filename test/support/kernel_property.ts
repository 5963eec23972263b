import fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstBitDifference } from './bits.ts';

/** Throws, showing both values, unless the arrays have the same bits (any NaN equals any NaN). */
export function assertSameBits(what: string, got: ArrayLike<number>, expected: ArrayLike<number>): void {
  const i = firstBitDifference(got, expected);
  if (i >= 0) throw new Error(`${what}: element ${i} of ${expected.length} is ${got[i]}, the twin has ${expected[i]}`);
}

export interface KernelProperty<K> {
  /** "addF32" */
  readonly name: string;
  readonly kernel: K;
  /** The property that a kernel has its twin's bits. */
  readonly sameBits: (kernel: K) => fc.IProperty<unknown>;
  /** Wrong kernels, by what is wrong with them: the same property must fail for each. */
  readonly mutants: Readonly<Record<string, K>>;
  readonly numRuns?: number;
}

/** Tests the property on the kernel, and that it can fail: on every mutant. */
export function testKernel<K>({ name, kernel, sameBits, mutants, numRuns = 100 }: KernelProperty<K>): void {
  test(`${name} has the bits of its twin`, () => {
    fc.assert(sameBits(kernel), { numRuns });
  });
  test.each(Object.entries(mutants))(`and a mutant of ${name} is caught: %s`, (_what, mutant) => {
    // That it failed is enough: no shrinking, and always the same cases.
    expect(fc.check(sameBits(mutant), { numRuns, seed: 1, endOnFailure: true }).failed).toBe(true);
  });
}
