import { ShapeError } from './errors.ts';

/** Sizes by axis, outermost first. [] is a scalar. */
export type Shape = readonly number[];

/** Product of the axes: the number of elements. */
export function sizeOf(shape: Shape): number {
  let n = 1;
  for (const d of shape) n *= d;
  return n;
}

/** "[2, 64]", the way every message writes a shape. */
export function showShape(shape: readonly (number | string)[]): string {
  return `[${shape.join(', ')}]`;
}

/**
 * Checks `shape` against axis names, e.g. match('k', k.shape, 'S nKvHeads headDim', dims).
 *
 * A name that `dims` has must agree with it; a name that it lacks is bound to the size found, so that two calls with the
 * same `dims` also check each other. A number in `axes` is that size exactly.
 * Throws ShapeError: "k: axis 2 (headDim) is 32, expected 64".
 */
export function match(what: string, shape: Shape, axes: string, dims: Record<string, number> = {}): void {
  const names = axes === '' ? [] : axes.split(' ');
  if (names.length !== shape.length) {
    throw new ShapeError(
      `${what}: shape ${showShape(shape)} has ${shape.length} axes, expected ${names.length} (${axes})`,
    );
  }
  for (let axis = 0; axis < names.length; axis++) {
    const name = names[axis]!;
    const size = shape[axis]!;
    const expected = /^\d+$/.test(name) ? Number(name) : dims[name];
    if (expected === undefined) dims[name] = size;
    else if (expected !== size)
      throw new ShapeError(`${what}: axis ${axis} (${name}) is ${size}, expected ${expected}`);
  }
}

/**
 * A size that a graph may leave open until it runs: T new tokens, S positions in the cache (old plus T), R rows whose
 * logits are asked for.
 */
export type SymbolicSize = 'T' | 'S' | 'R';
export type Dim = number | SymbolicSize;
export type SymbolicShape = readonly Dim[];

/** True when both have the same axes, symbol by symbol. */
export function equalShapes(a: SymbolicShape, b: SymbolicShape): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** Puts numbers in for T, S and R. */
export function resolveShape(shape: SymbolicShape, sizes: Readonly<Record<SymbolicSize, number>>): number[] {
  return shape.map((d) => (typeof d === 'number' ? d : sizes[d]));
}
