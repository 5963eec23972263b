import { UnsupportedError } from '../core/errors.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { isDerivedBuffer } from '../load/names.ts';
import type { Tensors } from './architecture.ts';

/**
 * A folder's tensors under their GGUF names, without tables that follow from the config.
 * nameOf: a Hugging Face name -> a GGUF name, or null. Throws UnsupportedError for the first tensor of which it gives null.
 */
export function renamed(tensors: Tensors, nameOf: (hfName: string) => string | null, modelType: string): Tensors {
  const result = new Map<string, TensorInfo>();
  for (const [hfName, info] of tensors) {
    if (isDerivedBuffer(hfName)) continue;
    const name = nameOf(hfName);
    if (name === null) {
      throw new UnsupportedError(
        `tensor ${hfName} has no place in a ${modelType} model; it is a variant that cannot be run yet`,
      );
    }
    result.set(name, info);
  }
  return result;
}
