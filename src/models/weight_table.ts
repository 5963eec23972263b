import { ShapeError, UnsupportedError } from '../core/errors.ts';
import { equalShapes, type Shape, showShape } from '../core/shape.ts';
import type { GraphBuilder } from '../graph/build.ts';
import type { ValueId } from '../graph/ir.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { dtypeOf } from '../load/weights.ts';

/** A model's tensors under their GGUF names, each of which a builder must ask for exactly as it is. */
export interface WeightTable {
  has(name: string): boolean;
  /** The weight node of `name`. Throws ShapeError when it is missing or of another shape, UnsupportedError by its type. */
  weight(name: string, shape: Shape): ValueId;
  /** Throws ShapeError naming the first tensor that nothing asked for: nothing in a file is silently left out. */
  checkAllUsed(): void;
}

export function createWeightTable(
  builder: GraphBuilder,
  tensors: ReadonlyMap<string, TensorInfo>,
  alsoKnown: readonly string[],
): WeightTable {
  const used = new Set<string>(alsoKnown);
  return {
    has: (name) => tensors.has(name),
    weight(name, shape) {
      const info = tensors.get(name);
      if (info === undefined) {
        throw new ShapeError(
          `tensor ${name} ${showShape(shape)} is missing; the file is not a complete model of this architecture`,
        );
      }
      if (!equalShapes(info.shape, shape)) {
        throw new ShapeError(`tensor ${name} is ${showShape(info.shape)}, the config asks for ${showShape(shape)}`);
      }
      used.add(name);
      return builder.weight(name, dtypeOf(info), shape);
    },
    checkAllUsed() {
      for (const name of tensors.keys()) {
        if (!used.has(name)) {
          throw new UnsupportedError(
            `tensor ${name} has no place in this architecture; the model is a variant that cannot be run yet`,
          );
        }
      }
    },
  };
}
