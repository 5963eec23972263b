import { ShapeError } from '../core/errors.ts';
import { type Shape, showShape } from '../core/shape.ts';

/** Throws ShapeError unless both operands of an elementwise op have the same axes. */
export function sameShape(op: string, a: Shape, b: Shape): void {
  if (a.length !== b.length || a.some((size, axis) => size !== b[axis])) {
    throw new ShapeError(`${op}: shapes ${showShape(a)} and ${showShape(b)} differ`);
  }
}
