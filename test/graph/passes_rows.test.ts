import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ALL_DTYPES } from '../../src/core/dtype.ts';
import { exportNames } from '../../src/exec/wasm/format_kernels.ts';
import { storedAs } from '../../src/exec/wasm/stored_as.ts';
import type { Node } from '../../src/graph/ir.ts';
import { lastRowOnly } from '../../src/graph/passes/last_row_only.ts';
import { pickQuantized } from '../../src/graph/passes/pick_quantized.ts';
import { linearKernelOf } from '../../src/ops/linear_kernel.ts';
import { changing } from './mutants.ts';
import { passSuite } from './pass_suite.ts';
import { buildGraph, type GraphSpec, type Plant, randomGraphs } from './random_graph.ts';

passSuite(lastRowOnly, {
  firedAtLeast: 0.6,
  mutants: {
    'takes the rows of another value': changing(lastRowOnly, 'take_rows', ({ inputs }, { nodes }) => ({
      inputs: [nodes.findIndex((n) => n.op === 'embed'), inputs[1]!],
    })),
    'norm with another eps': changing(lastRowOnly, 'rms_norm', ({ eps, name }) => ({
      eps: name.endsWith('.taken') ? 2 * eps : eps,
    })),
    'skips a norm': (graph) => {
      const after = lastRowOnly.apply(graph);
      const norm = after.nodes.findIndex((n) => n.op === 'rms_norm' && n.name.endsWith('.taken'));
      const skip = (i: number): number => (i === norm ? after.nodes[norm]!.inputs[0]! : i);
      return { ...after, nodes: after.nodes.map((n) => ({ ...n, inputs: n.inputs.map(skip) }) as Node) };
    },
    'a sum takes the rows of its first input only': changing(lastRowOnly, 'add', ({ name, inputs }) => ({
      inputs: name.endsWith('.taken') ? [inputs[0]!, inputs[0]!] : inputs,
    })),
  },
});

passSuite(pickQuantized, {
  firedAtLeast: 1,
  mutants: {
    'writes down a kernel of another format': changing(pickQuantized, 'linear', () => ({ kernel: 'linear_q2_k_q8' })),
    'makes the kernel true by changing activations': changing(pickQuantized, 'linear', ({ inputs }, { nodes }) => ({
      activations: 'f32',
      kernel: linearKernelOf((nodes[inputs[1]!] as { dtype: 'f32' }).dtype, 'f32'),
    })),
  },
});

test('the kernel that is written down is the one that the wasm tier calls, for every format', () => {
  for (const dtype of ALL_DTYPES) {
    const names = exportNames(storedAs(dtype), 'pairs');
    for (const activations of ['f32', 'q8'] as const) {
      const called = activations === 'q8' && names.q8 !== undefined ? names.q8 : names.f32;
      const written = linearKernelOf(dtype, activations);
      expect(called, `${dtype} with ${activations}`).toBe(camelCase(written));
    }
  }
});

/** "linear_q4_k_q8" -> "linearQ4KQ8", as kernels name their exports. */
function camelCase(name: string): string {
  return name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

const base: GraphSpec = fc.sample(randomGraphs, { numRuns: 1, seed: 1 })[0]!.spec;
const namesAfter = (head: GraphSpec['head'], ...plants: Plant[]): string[] => {
  const layer = { attention: ['f32', 'f32', 'f32'], gateUp: ['f32', 'f32'], rest: 'f32', plants } as const;
  const { graph } = buildGraph({ ...base, head, layers: [layer] });
  return lastRowOnly.apply(graph).nodes.map((n) => n.name);
};

test('last_row_only goes up to where rows have met: the heads and the residual of the last layer', () => {
  const names = namesAfter('plain');
  for (const name of ['blk.0.heads.taken', 'embedding.taken', 'blk.0.ffn_gate.taken']) expect(names).toContain(name);
  expect(names.filter((n) => n === 'blk.0.mix.taken')).toEqual([]);
});

test('last_row_only takes rows once where they are taken twice, and leaves a value alone that is wanted whole', () => {
  expect(namesAfter('taken twice').filter((n) => n === 'embedding.taken')).toHaveLength(1);
  // q is read by attention, which sees all rows: its other reader takes rows of it and not of its input.
  const names = namesAfter('plain', 'reads q');
  expect(names).toContain('blk.0.attn_q.taken');
  expect(names).not.toContain('blk.0.attn_norm.taken');
});
