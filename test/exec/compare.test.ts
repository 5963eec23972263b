import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareBits, measureDistances } from '../../src/exec/compare.ts';
import type { RecordedValue } from '../../src/exec/record.ts';
import type { Steps } from '../../src/exec/record_steps.ts';
import { SEARCH } from '../support/mutant_search.ts';

/** Recordings made by hand: steps of named values. */
type Content = Record<string, readonly number[]>;

function stepsOf(contents: readonly Content[], width: 32 | 64 = 32): Steps {
  return contents.map((content) => ({
    values: new Map(
      Object.entries(content).map(([name, numbers]): [string, RecordedValue] => {
        const data = width === 32 ? Float32Array.from(numbers) : Float64Array.from(numbers);
        return [name, { op: 'add', shape: [numbers.length], data }];
      }),
    ),
    logits: { vocab: 1, data: new Float32Array(1) },
  }));
}

/** Numbers that comparisons get wrong: both zeros, NaN, infinities, subnormals, the largest. */
const HARD = [0, -0, NaN, Infinity, -Infinity, 2 ** -149, -(2 ** -149), 2 ** -126, 3.4028234663852886e38, 1, -1];
const numbers = fc.oneof(fc.constantFrom(...HARD), fc.float());
const contents = fc.array(
  fc.dictionary(fc.constantFrom('x', 'y', 'z', 'w'), fc.array(numbers, { minLength: 1, maxLength: 9 }), { minKeys: 1 }),
  { minLength: 1, maxLength: 3 },
);

/** Puts one other number somewhere; gives where. Another NaN is no other number. */
const planted = fc
  .tuple(contents, fc.nat(), fc.nat(), fc.nat(), numbers)
  .map(([before, pickRun, pickName, pickIndex, value]) => {
    const run = pickRun % before.length;
    const names = Object.keys(before[run]!);
    const name = names[pickName % names.length]!;
    const index = pickIndex % before[run]![name]!.length;
    const after = before.map((content) => structuredClone(content));
    (after[run]![name] as number[])[index] = value;
    return { before, after, run, name, index, value, old: before[run]![name]![index]! };
  })
  .filter(({ value, old }) => !Object.is(value, old));

type Compare = typeof compareBits;

function findsPlanted(compare: Compare): fc.IProperty<unknown> {
  return fc.property(planted, ({ before, after, run, name, index, value, old }) => {
    const { nTensors, differences } = compare(stepsOf(before), stepsOf(after));
    const count = before.reduce((n, content) => n + Object.keys(content).length, 0);
    if (nTensors !== count || differences.length !== 1) return false;
    const { elements, ...where } = differences[0]!;
    return (
      where.run === run &&
      where.name === name &&
      elements !== null &&
      elements.index === index &&
      elements.nDiffer === 1 &&
      Object.is(elements.a, old) &&
      Object.is(elements.b, value)
    );
  });
}

function findsNothing(compare: Compare): fc.IProperty<unknown> {
  return fc.property(contents, (content) => {
    const { differences, onlyInA, onlyInB } = compare(stepsOf(content), stepsOf(structuredClone(content)));
    return differences.length === 0 && onlyInA.length === 0 && onlyInB.length === 0;
  });
}

/** compareBits with another idea of equality: differences whose numbers it takes as equal are not seen. */
function withEquality(isEqual: (a: number, b: number) => boolean): Compare {
  return (a, b) => {
    const report = compareBits(a, b);
    const isSeen = (run: number, name: string): boolean => {
      const x = a[run]!.values.get(name)!.data;
      const y = b[run]!.values.get(name)!.data;
      return x.some((_, i) => !isEqual(x[i]!, y[i]!));
    };
    return { ...report, differences: report.differences.filter(({ run, name }) => isSeen(run, name)) };
  };
}

describe('compareBits', () => {
  test('finds the one number that was changed, and where', () => fc.assert(findsPlanted(compareBits)));

  test('finds nothing in equal recordings, NaN and zeros included', () => fc.assert(findsNothing(compareBits)));

  test.each([
    ['===, for which 0 is -0', withEquality((a, b) => a === b)],
    ['a tolerance', withEquality((a, b) => Math.abs(a - b) < 1e-30)],
    ['!(difference > tolerance), which lets NaN pass', withEquality((a, b) => !(Math.abs(a - b) > 1e-30))],
  ])('a comparison with %s is caught', (_name, mutant) => {
    expect(fc.check(findsPlanted(mutant), SEARCH).failed).toBe(true);
  });

  test('a comparison that takes NaN as different from NaN is caught', () => {
    const mutant: Compare = (a, b) => {
      const report = compareBits(a, b);
      const hasNaN = a.some(({ values }) => [...values.values()].some(({ data }) => data.includes(NaN)));
      const fake = { run: 0, name: 'x', op: 'add', shapeA: [], shapeB: [], elements: null };
      return hasNaN ? { ...report, differences: [fake] } : report;
    };
    expect(fc.check(findsNothing(mutant), SEARCH).failed).toBe(true);
  });

  test('reports the first difference in the order of a, how many there are, and how far apart they lie', () => {
    const a = stepsOf([{ x: [1, 2], y: [1, 2, 3] }, { x: [5, 5] }]);
    const b = stepsOf([{ y: [1, 2.5, 4], x: [1, 2] }, { x: [5, 6] }]);
    const { differences } = compareBits(a, b);
    expect(differences.map(({ run, name }) => [run, name])).toEqual([
      [0, 'y'],
      [1, 'x'],
    ]);
    expect(differences[0]!.elements).toEqual({
      index: 1,
      a: 2,
      b: 2.5,
      aBits: '0x40000000',
      bBits: '0x40200000',
      nDiffer: 2,
      nElements: 3,
      maxAbs: 1,
    });
  });

  test('a difference to NaN or infinity is no number', () => {
    for (const other of [NaN, Infinity]) {
      const { differences } = compareBits(stepsOf([{ x: [1, 7, 9] }]), stepsOf([{ x: [2, other, 90] }]));
      expect(differences[0]!.elements).toMatchObject({ nDiffer: 3, maxAbs: NaN });
    }
  });

  test('f64 recordings have 16 digits of bits', () => {
    const { differences } = compareBits(stepsOf([{ x: [0] }], 64), stepsOf([{ x: [-0] }], 64));
    expect(differences[0]!.elements).toMatchObject({
      aBits: '0x0000000000000000',
      bBits: '0x8000000000000000',
      maxAbs: 0,
    });
  });

  test('f32 and f64 have no bits in common: that is a mistake of the caller', () => {
    expect(() => compareBits(stepsOf([{ x: [1] }]), stepsOf([{ x: [1] }], 64))).toThrow('one width');
    expect(() => compareBits(stepsOf([{ x: [1] }]), stepsOf([{ x: [1] }, { x: [1] }]))).toThrow('as many runs');
  });

  test('another shape is a difference without elements', () => {
    const { differences } = compareBits(stepsOf([{ x: [1, 2] }]), stepsOf([{ x: [1] }]));
    expect(differences).toEqual([{ run: 0, name: 'x', op: 'add', shapeA: [2], shapeB: [1], elements: null }]);
  });

  test('values of one side are counted, not compared', () => {
    const a = stepsOf([
      { x: [1], left: [2] },
      { x: [1], left: [2] },
    ]);
    const b = stepsOf([{ x: [1] }, { x: [1], right: [3] }]);
    expect(compareBits(a, b)).toEqual({
      nTensors: 2,
      differences: [],
      onlyInA: [{ name: 'left', op: 'add', nRuns: 2 }],
      onlyInB: [{ name: 'right', op: 'add', nRuns: 1 }],
    });
  });
});

describe('measureDistances', () => {
  test('gives the largest distance, and relative to the largest magnitude', () => {
    const { distances } = measureDistances(stepsOf([{ x: [1, -7.5, 3] }]), stepsOf([{ x: [1, -8, 3.25] }], 64));
    expect(distances).toEqual([{ run: 0, name: 'x', op: 'add', shape: [3], maxAbs: 0.5, maxRelative: 0.0625 }]);
  });

  test('zeros are no distance apart, and NaN is never near', () => {
    const distanceOf = (x: number[], y: number[]) => {
      const { maxAbs, maxRelative } = measureDistances(stepsOf([{ x }]), stepsOf([{ x: y }], 64)).distances[0]!;
      return [maxAbs, maxRelative];
    };
    expect(distanceOf([0, -0], [0, 0])).toEqual([0, 0]);
    expect(distanceOf([1, NaN, 1], [1, 2, 1])).toEqual([NaN, NaN]);
    expect(distanceOf([1, 2, 1], [1, NaN, 1])).toEqual([NaN, NaN]);
    expect(distanceOf([1, Infinity], [1, 2])).toEqual([NaN, NaN]);
    expect(distanceOf([NaN, Infinity], [NaN, Infinity])).toEqual([0, 0]);
    expect(distanceOf([1], [0])).toEqual([1, Infinity]);
    expect(distanceOf([1, 2], [1])).toEqual([NaN, NaN]);
  });
});
