import type { DType } from '../../core/dtype.ts';
import { UnsupportedError } from '../../core/errors.ts';
import type { Graph, NodeOf } from '../../graph/ir.ts';
import { takesQ8 } from '../../quant/codes.ts';
import { FORMAT_MODULES, type KernelFormat } from './format_kernels.ts';

/** How a matrix of a file's format lies in WASM memory: as itself, or, without kernels, unpacked exactly to f32. */
export function storedAs(dtype: DType): KernelFormat {
  return Object.hasOwn(FORMAT_MODULES, dtype) ? (dtype as KernelFormat) : 'f32';
}

/**
 * Unpacked to f32, a coded format no longer has the codes that quantized activations are multiplied with, and the results
 * would not have the bits of their definition.
 * Throws UnsupportedError naming the first such weight.
 */
export function checkQ8Kernels(graph: Graph): void {
  for (const node of graph.nodes) {
    if (node.op !== 'linear' || node.activations === 'f32') continue;
    const { name, dtype } = graph.nodes[node.inputs[1]!] as NodeOf<'weight'>;
    if (takesQ8(dtype) && storedAs(dtype) !== dtype) {
      throw new UnsupportedError(
        `weight ${name} is ${dtype}, which has no kernel for activations q8; use --activations f32 or --executor naive`,
      );
    }
  }
}
