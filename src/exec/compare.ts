import { assert } from '../core/errors.ts';
import { equalShapes, type Shape } from '../core/shape.ts';
import type { RecordedValue } from './record.ts';
import type { Steps } from './record_steps.ts';

/** Two recorded values of one name that are not the same, bit for bit. */
export interface TensorDifference {
  /** Run 0 is the prompt, run i the i-th decode step after it. */
  readonly run: number;
  readonly name: string;
  readonly op: string;
  readonly shapeA: Shape;
  readonly shapeB: Shape;
  /** The first element that differs, and how many do; null when the shapes differ, and nothing can be compared. */
  readonly elements: ElementDifference | null;
}

export interface ElementDifference {
  /** Flat index of the first element that differs. */
  readonly index: number;
  readonly a: number;
  readonly b: number;
  /** "0x3f800000": IEEE 754 bits, 8 hex digits of an f32, 16 of an f64. */
  readonly aBits: string;
  readonly bBits: string;
  readonly nDiffer: number;
  readonly nElements: number;
  /** Largest |a - b|; NaN when an element is NaN, or infinite, on one side alone. */
  readonly maxAbs: number;
}

/** A value that only one of the two recordings has, in all of the runs where it has it: passes add and remove values. */
export interface Unmatched {
  readonly name: string;
  readonly op: string;
  readonly nRuns: number;
}

interface Matching {
  /** Values that both have. */
  readonly nTensors: number;
  readonly onlyInA: readonly Unmatched[];
  readonly onlyInB: readonly Unmatched[];
}

export interface BitReport extends Matching {
  /** In a's order, so the first of them is where the two parted. Empty: equal bits. */
  readonly differences: readonly TensorDifference[];
}

/** How far a value lies from the truth. */
export interface TensorDistance {
  readonly run: number;
  readonly name: string;
  readonly op: string;
  readonly shape: Shape;
  /** Largest |value - truth|; NaN when one of them is not finite and the other one differs. */
  readonly maxAbs: number;
  /** maxAbs / largest |truth|; 0 when both are 0. */
  readonly maxRelative: number;
}

export interface DistanceReport extends Matching {
  readonly distances: readonly TensorDistance[];
}

/**
 * Holds two recordings against each other, value by value, by run and name. Elements are equal when Object.is says so: -0
 * differs from 0, any NaN equals any NaN. Both must be of one width: an f32 tier has no bits of naive64's.
 */
export function compareBits(a: Steps, b: Steps): BitReport {
  const { pairs, ...matching } = matchByName(a, b);
  const differences: TensorDifference[] = [];
  for (const { run, name, x, y } of pairs) {
    assert(x.data.BYTES_PER_ELEMENT === y.data.BYTES_PER_ELEMENT, `${name}: bits are those of numbers of one width`);
    const found = { run, name, op: x.op, shapeA: x.shape, shapeB: y.shape };
    if (!equalShapes(x.shape, y.shape)) {
      differences.push({ ...found, elements: null });
      continue;
    }
    const elements = differingElements(x.data, y.data);
    if (elements !== null) differences.push({ ...found, elements });
  }
  return { ...matching, differences };
}

/** Measures how far each value of a recording lies from the same value of the float64 tier. No verdict: bounds are per op. */
export function measureDistances(values: Steps, truth: Steps): DistanceReport {
  const { pairs, ...matching } = matchByName(values, truth);
  const distances = pairs.map(({ run, name, x, y }) => {
    const maxAbs = equalShapes(x.shape, y.shape) ? largestDistance(x.data, y.data) : NaN;
    let scale = 0;
    for (const v of y.data) scale = Math.max(scale, Math.abs(v));
    return { run, name, op: x.op, shape: x.shape, maxAbs, maxRelative: maxAbs === 0 ? 0 : maxAbs / scale };
  });
  return { ...matching, distances };
}

interface Pair {
  readonly run: number;
  readonly name: string;
  readonly x: RecordedValue;
  readonly y: RecordedValue;
}

function matchByName(a: Steps, b: Steps): Matching & { readonly pairs: readonly Pair[] } {
  assert(a.length === b.length, `both recordings have as many runs: ${a.length} and ${b.length}`);
  const pairs: Pair[] = [];
  a.forEach(({ values }, run) => {
    for (const [name, x] of values) {
      const y = b[run]!.values.get(name);
      if (y !== undefined) pairs.push({ run, name, x, y });
    }
  });
  return { pairs, nTensors: pairs.length, onlyInA: unmatched(a, b), onlyInB: unmatched(b, a) };
}

/** The values of `these` that `others` lack in the same run. */
function unmatched(these: Steps, others: Steps): Unmatched[] {
  const byName = new Map<string, Unmatched>();
  these.forEach(({ values }, run) => {
    for (const [name, { op }] of values) {
      if (others[run]!.values.has(name)) continue;
      byName.set(name, { name, op, nRuns: (byName.get(name)?.nRuns ?? 0) + 1 });
    }
  });
  return [...byName.values()];
}

type Numbers = Float32Array | Float64Array;

/** a and b are of one length, since their shapes are equal. */
function differingElements(a: Numbers, b: Numbers): ElementDifference | null {
  let first = -1;
  let nDiffer = 0;
  for (let i = 0; i < a.length; i++) {
    if (Object.is(a[i], b[i])) continue;
    if (first < 0) first = i;
    nDiffer++;
  }
  if (first < 0) return null;
  return {
    index: first,
    a: a[first]!,
    b: b[first]!,
    aBits: bitsAt(a, first),
    bBits: bitsAt(b, first),
    nDiffer,
    nElements: a.length,
    maxAbs: largestDistance(a, b),
  };
}

/** NaN is never "smaller than the largest so far": it stays once it is met. */
function largestDistance(a: Numbers, b: Numbers): number {
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const distance = Object.is(a[i], b[i]) ? 0 : Math.abs(a[i]! - b[i]!);
    if (!(distance <= largest)) largest = Number.isFinite(distance) && !Number.isNaN(largest) ? distance : NaN;
  }
  return largest;
}

/** The element as it lies in memory: also a NaN's payload shows. */
function bitsAt(data: Numbers, index: number): string {
  const width = data.BYTES_PER_ELEMENT;
  const view = new DataView(data.buffer, data.byteOffset + index * width, width);
  const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  const bits = width === 4 ? BigInt(view.getUint32(0, isLittleEndian)) : view.getBigUint64(0, isLittleEndian);
  return `0x${bits.toString(16).padStart(2 * width, '0')}`;
}
