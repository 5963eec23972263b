import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type AnyKernel,
  openControl,
  type Split,
  serveShares,
  shareOut,
  stopSharing,
} from '../../../src/exec/wasm/shares.ts';
import { sizeOfShares } from '../../../src/exec/wasm/thread_pool.ts';

/** The protocol without workers: the main thread takes every share. threads.test.ts has workers. */

interface Case {
  readonly nUnits: number;
  readonly shareUnits: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  nUnits: fc.oneof(fc.nat(8), fc.nat(1000)),
  shareUnits: fc.integer({ min: 1, max: 40 }),
});

/** A call f(y, x, from, n, scratch) over n units: y moves by 4 bytes a unit, x by 12, `from` by 1; it starts at unit 7. */
const ARGS = (n: number): number[] => [2 ** 31, 100, 7, n, 5000];
const SPLIT: Split = { countAt: 3, steps: [0, 4, 1, 12, 2, 1], scratch: { at: 4, nBytes: 64 } };

/** Every unit is computed once, by arguments that are its own. */
const everyUnitOnce = (split: Split, run: typeof shareOut = shareOut) =>
  fc.property(cases, ({ nUnits, shareUnits }) => {
    const seen = new Map<number, number>();
    const kernel: AnyKernel = (y, x, from, n, scratch) => {
      expect(scratch).toBe(5000); // the main thread's piece is the first
      for (let i = 0; i < n!; i++) {
        const unit = from! + i - 7;
        expect([y! + 4 * i, x! + 12 * i]).toEqual([2 ** 31 + 4 * unit, 100 + 12 * unit]);
        seen.set(unit, (seen.get(unit) ?? 0) + 1);
      }
    };
    run(openControl(), [() => expect.fail('another kernel'), kernel], 1, ARGS(nUnits), split, shareUnits);
    expect([...seen.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: nUnits }, (_, i) => i));
    expect([...seen.values()].every((times) => times === 1)).toBe(true);
  });

test('shares cover every unit of a call once', () => fc.assert(everyUnitOnce(SPLIT)));

const mutants: Readonly<Record<string, ReturnType<typeof everyUnitOnce>>> = {
  'an address that stays': everyUnitOnce({ ...SPLIT, steps: [0, 4, 2, 1] }),
  'a step that is too short': everyUnitOnce({ ...SPLIT, steps: [0, 4, 1, 11, 2, 1] }),
  'shares that all start at the first unit': everyUnitOnce({ ...SPLIT, steps: [] }),
  'the last unit is dropped': everyUnitOnce(SPLIT, (control, kernels, id, args, split, shareUnits) =>
    shareOut(control, kernels, id, ARGS(Math.max(0, args[3]! - 1)), split, shareUnits),
  ),
  'neighbours overlap by one unit': everyUnitOnce(SPLIT, (control, kernels, id, args, split, shareUnits) => {
    const overlapping = kernels.map(
      (kernel): AnyKernel =>
        (y, x, from, n, scratch) =>
          kernel(y!, x!, from!, n! + (from! + n! < 7 + args[3]! ? 1 : 0), scratch!),
    );
    shareOut(control, overlapping, id, args, split, shareUnits);
  }),
};

test.each(Object.entries(mutants))('and a mutant is caught: %s', (_what, property) => {
  expect(fc.check(property, { seed: 1, endOnFailure: true }).failed).toBe(true);
});

test('a worker takes the shares that are left, with scratch of its own', () => {
  const control = openControl();
  const seen: string[] = [];
  const note =
    (who: string, then: () => void): AnyKernel =>
    (_y, _x, from, n, scratch) => {
      seen.push(`${who}: ${from}+${n} at ${scratch}`);
      then();
    };
  // Within the main thread's first share a worker takes the others; it returns as the pool is stopped by then.
  const worker = [note('worker', () => stopSharing(control))];
  const main = [note('main', () => serveShares(control, worker, 2))];
  shareOut(control, main, 0, ARGS(10), SPLIT, 4);
  expect(seen).toEqual(['main: 15+2 at 5000', 'worker: 11+4 at 5128', 'worker: 7+4 at 5128']);
});

test('a share that nobody finishes ends in an error, not in waiting for ever', () => {
  const control = openControl(undefined, 0.1);
  // Another thread takes a share as the protocol has it, and dies.
  const dies: AnyKernel = () => void Atomics.sub(control.words, 0, 1);
  expect(() => shareOut(control, [dies], 0, ARGS(4), SPLIT, 1)).toThrow('a worker does not answer for 0.03 s');
});

test('sizes of shares: worth their while, in whole grains, as many for each thread', () => {
  const sizes = fc.record({
    nUnits: fc.nat(5000),
    nThreads: fc.integer({ min: 2, max: 9 }),
    grain: fc.integer({ min: 1, max: 16 }),
    unitNs: fc.double({ min: 0, max: 1e5, noNaN: true }),
  });
  fc.assert(
    fc.property(sizes, ({ nUnits, nThreads, grain, unitNs }) => {
      const size = sizeOfShares(nUnits, nThreads, { grain, unitNs }, 10_000);
      if (size === 0) return;
      expect(size % grain).toBe(0);
      const nShares = Math.ceil(nUnits / size);
      expect(nShares).toBeGreaterThanOrEqual(2);
      expect(nShares).toBeLessThanOrEqual(4 * nThreads);
      if (nShares > 2) expect(nShares * 10_000).toBeLessThanOrEqual(nUnits * unitNs);
    }),
  );
  expect(sizeOfShares(1000, 2, { grain: 1, unitNs: 5 }), 'a small call stays whole').toBe(0);
  expect(sizeOfShares(3, 2, { grain: 4, unitNs: 1e6 }), 'one grain cannot be split').toBe(0);
  expect(sizeOfShares(700, 2, { grain: 1, unitNs: 10 }), 'two shares of 3.5 µs').toBe(350);
  expect(sizeOfShares(3500, 2, { grain: 1, unitNs: 10 }), 'not three for two threads').toBe(1750);
  expect(sizeOfShares(36, 2, { grain: 2, unitNs: 1e5 }), 'three of 6 for each, not five of 4 and four').toBe(6);
});
