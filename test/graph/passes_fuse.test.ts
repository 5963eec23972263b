import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import { createBuilder, type GraphBuilder } from '../../src/graph/build.ts';
import type { ValueId } from '../../src/graph/ir.ts';
import { cheapSilu } from '../../src/graph/passes/cheap_silu.ts';
import { fuseAttend } from '../../src/graph/passes/fuse_attend.ts';
import { fuseGeglu } from '../../src/graph/passes/fuse_geglu.ts';
import { fuseNormLinearQuant } from '../../src/graph/passes/fuse_norm_linear_quant.ts';
import { fuseResidualNorm } from '../../src/graph/passes/fuse_residual_norm.ts';
import { fuseSwiglu } from '../../src/graph/passes/fuse_swiglu.ts';
import { mergeGateUp } from '../../src/graph/passes/merge_gate_up.ts';
import { verify } from '../../src/graph/verify.ts';
import type { Activations } from '../../src/ops/linear.ts';
import { changing, countOp } from './mutants.ts';
import { passSuite } from './pass_suite.ts';
import {
  buildGraph,
  type GraphSpec,
  geluGraphs,
  type LayerSpec,
  limitedGraphs,
  type Plant,
  randomGraphs,
} from './random_graph.ts';

passSuite(fuseAttend, {
  firedAtLeast: 0.6,
  graphs: limitedGraphs,
  mutants: {
    'forgets the scale': changing(fuseAttend, 'attend', () => ({ scale: 1 })),
    'forgets the window': changing(fuseAttend, 'attend', () => ({ window: undefined })),
    'forgets the cap': changing(fuseAttend, 'attend', () => ({ cap: undefined })),
    'queries are not turned': changing(fuseAttend, 'attend', ({ inputs }, { nodes }) => ({
      inputs: [nodes[inputs[0]!]!.inputs[0]!, ...inputs.slice(1)],
    })),
    'reads the rows of the first layer': changing(fuseAttend, 'attend', ({ inputs }, { nodes }) => ({
      inputs: [
        inputs[0]!,
        nodes.findIndex(({ op }) => op === 'kv_write_k'),
        nodes.findIndex(({ op }) => op === 'kv_write_v'),
        inputs[3]!,
      ],
    })),
  },
});

passSuite(fuseSwiglu, {
  firedAtLeast: 0.5,
  before: [mergeGateUp],
  mutants: {
    'gate and up changed over': changing(fuseSwiglu, 'swiglu', ({ inputs }) => ({ inputs: [...inputs].reverse() })),
    'the other activation': changing(fuseSwiglu, 'swiglu', () => ({ op: 'geglu' })),
    'the gate twice': changing(fuseSwiglu, 'swiglu', ({ inputs }) => ({ inputs: [inputs[0]!, inputs[0]!] })),
  },
});

passSuite(fuseSwiglu, {
  firedAtLeast: 0.5,
  before: [mergeGateUp, cheapSilu],
  mutants: {
    'the longer exponential': changing(fuseSwiglu, 'swiglu_fast', () => ({ op: 'swiglu' })),
    'gate and up changed over': changing(fuseSwiglu, 'swiglu_fast', ({ inputs }) => ({
      inputs: [...inputs].reverse(),
    })),
  },
});

passSuite(fuseGeglu, {
  firedAtLeast: 0.5,
  graphs: geluGraphs,
  before: [mergeGateUp],
  mutants: {
    'gate and up changed over': changing(fuseGeglu, 'geglu', ({ inputs }) => ({ inputs: [...inputs].reverse() })),
    'the other activation': changing(fuseGeglu, 'geglu', () => ({ op: 'swiglu' })),
    'the exact gelu for its approximation': changing(fuseGeglu, 'geglu_tanh', () => ({ op: 'geglu' })),
  },
});

passSuite(fuseResidualNorm, {
  firedAtLeast: 0.9,
  mutants: {
    'the halves changed over': changing(fuseResidualNorm, 'slice', ({ from, inputs, width }, { nodes }) =>
      nodes[inputs[0]!]!.op === 'residual_norm' ? { from: width - from } : {},
    ),
    'another eps': changing(fuseResidualNorm, 'residual_norm', ({ eps }) => ({ eps: 2 * eps })),
    'the first input twice': changing(fuseResidualNorm, 'residual_norm', ({ inputs }) => ({
      inputs: [inputs[0]!, inputs[0]!, inputs[2]!],
    })),
  },
});

const ofAnother = ({ codes }: { readonly codes?: 32 | 256 }) => (codes === undefined ? {} : { codes: 288 - codes });

passSuite(fuseNormLinearQuant, {
  firedAtLeast: 0.3,
  mutants: {
    'blocks of another size': changing(fuseNormLinearQuant, 'rms_norm', ofAnother),
    'every norm, whoever reads it': changing(fuseNormLinearQuant, 'rms_norm', () => ({ codes: 32 })),
  },
});

passSuite(fuseNormLinearQuant, {
  firedAtLeast: 0.3,
  before: [fuseResidualNorm],
  mutants: {
    'blocks of another size': changing(fuseNormLinearQuant, 'residual_norm', ofAnother),
    'every norm, whoever reads it': changing(fuseNormLinearQuant, 'residual_norm', () => ({ codes: 32 })),
  },
});

const base: GraphSpec = fc.sample(randomGraphs, { numRuns: 1, seed: 1 })[0]!.spec;
const planted = (...plants: Plant[]): GraphSpec => {
  const layer: LayerSpec = { attention: ['f32', 'f32', 'f32'], gateUp: ['q8_0', 'q8_0'], rest: 'f32', plants };
  return { ...base, layers: [layer] };
};

describe('what fuse_swiglu and fuse_geglu leave alone', () => {
  const fusedIn = (...plants: Plant[]) => {
    const { graph } = buildGraph(planted(...plants));
    const gelus = fuseGeglu.apply(graph);
    return [countOp(fuseSwiglu.apply(graph), 'swiglu'), countOp(gelus, 'geglu'), countOp(gelus, 'geglu_tanh')];
  };
  test.each<[string, Plant[], number[]]>([
    ['they fire on the activation that they are of', [], [1, 0, 0]],
    ['and on the other', ['gelu'], [0, 1, 0]],
    ['and on its approximation', ['gelu_tanh'], [0, 0, 1]],
    ['in either order', ['swapped'], [1, 0, 0]],
    ['also where the gate is up', ['up is gate'], [1, 0, 0]],
    ['a gate that something else reads stays readable', ['reads gate'], [1, 0, 0]],
    ['an activation that something else reads', ['reads silu'], [0, 0, 0]],
    ['the same of gelu', ['reads silu', 'gelu'], [0, 0, 0]],
    ['and of its approximation', ['reads silu', 'gelu_tanh'], [0, 0, 0]],
    ['a product without one', ['no silu'], [0, 0, 0]],
  ])('%s', (_what, plants, expected) => expect(fusedIn(...plants)).toEqual(expected));

  test('an activation times itself', () => {
    const b = createBuilder();
    const s = b.silu('s', b.embed('x', b.input('ids'), b.weight('table', 'f32', [4, 8])));
    const rows = b.takeRows('y', b.mul('square', s, s), b.input('outRows'));
    const graph = b.finish(rows, { nLayers: 0, nKvHeads: 1, headDim: 8 });
    expect(countOp(fuseSwiglu.apply(graph), 'swiglu')).toBe(0);
  });
});

describe('what fuse_attend leaves alone', () => {
  const attendsIn = (reader: 'nothing' | 'scores' | 'probs'): number => {
    const b = createBuilder();
    const x = b.embed('x', b.input('ids'), b.weight('table', 'f32', [4, 8]));
    const heads = b.reshape('heads', x, ['T', 1, 8]);
    const keys = b.kvWriteK('keys', heads, 0);
    const values = b.kvWriteV('values', heads, 0);
    const positions = b.input('positions');
    const scores = b.attendScores('scores', heads, keys, positions, 1);
    const probs = b.softmax('probs', scores, positions);
    if (reader === 'scores') b.softmax('again', scores, positions);
    if (reader === 'probs') b.attendMix('again', probs, values, positions);
    const mix = b.reshape('flat', b.attendMix('mix', probs, values, positions), ['T', 8]);
    const graph = b.finish(b.takeRows('y', mix, b.input('outRows')), { nLayers: 1, nKvHeads: 1, headDim: 8 });
    return countOp(fuseAttend.apply(graph), 'attend');
  };
  test('it fires on plain attention', () => expect(attendsIn('nothing')).toBe(1));
  test('scores that something else reads', () => expect(attendsIn('scores')).toBe(0));
  test('probabilities that something else reads', () => expect(attendsIn('probs')).toBe(0));
});

describe('what fuse_residual_norm leaves alone', () => {
  type Build = (b: ReturnType<typeof createBuilder>, sum: ValueId, g: ValueId) => ValueId;
  const fusedIn = (build: Build): number[] => {
    const b = createBuilder();
    const x = b.embed('x', b.input('ids'), b.weight('table', 'f32', [4, 8]));
    const y = build(b, b.add('sum', x, b.silu('s', x)), b.weight('g', 'f32', [8]));
    const graph = b.finish(b.takeRows('y', y, b.input('outRows')), { nLayers: 0, nKvHeads: 1, headDim: 8 });
    const after = fuseResidualNorm.apply(graph);
    verify(after);
    return [countOp(after, 'residual_norm'), countOp(after, 'rms_norm')];
  };
  test('it fires on a norm of a sum, whatever else reads the two', () => {
    expect(fusedIn((b, sum, g) => b.rmsNorm('n', sum, g, 1))).toEqual([1, 0]);
    expect(fusedIn((b, sum, g) => b.mul('m', b.rmsNorm('n', sum, g, 1), sum))).toEqual([1, 0]);
    expect(fusedIn((b, sum, g) => b.add('m', b.rmsNorm('n', sum, g, 1), sum))).toEqual([1, 0]);
  });
  test('also where a sum of the two has a norm, again and again', () =>
    expect(fusedIn((b, sum, g) => b.rmsNorm('o', b.add('m', b.rmsNorm('n', sum, g, 1), sum), g, 1))).toEqual([2, 0]));
  test('a second norm of the sum reads its half', () =>
    expect(fusedIn((b, sum, g) => b.mul('m', b.rmsNorm('n', sum, g, 1), b.rmsNorm('o', sum, g, 2)))).toEqual([1, 1]));
  test('norms of heads, and of what is no sum', () => {
    const heads: Build = (b, sum) => {
      const n = b.rmsNorm('n', b.reshape('heads', sum, ['T', 2, 4]), b.weight('h', 'f32', [4]), 1);
      return b.reshape('flat', n, ['T', 8]);
    };
    expect(fusedIn(heads)).toEqual([0, 1]);
    expect(fusedIn((b, sum, g) => b.rmsNorm('n', b.silu('t', sum), g, 1))).toEqual([0, 1]);
  });
});

describe('what fuse_norm_linear_quant leaves alone', () => {
  /** Of the norms in order, the size of blocks that each is marked with; 0: none. */
  const marksIn = (read: (b: GraphBuilder, norm: (name: string) => ValueId, x: ValueId) => ValueId): number[] => {
    const b = createBuilder();
    const x = b.embed('x', b.input('ids'), b.weight('table', 'f32', [4, 256]));
    const norm = (name: string): ValueId => b.rmsNorm(name, x, b.weight('g', 'f32', [256]), 1);
    const y = b.takeRows('y', read(b, norm, x), b.input('outRows'));
    const after = fuseNormLinearQuant.apply(b.finish(y, { nLayers: 0, nKvHeads: 1, headDim: 8 }));
    verify(after);
    return after.nodes.flatMap((node) => (node.op === 'rms_norm' ? [node.codes ?? 0] : []));
  };
  const product = (b: GraphBuilder, n: ValueId, dtype: DType, name: string, activations: Activations = 'q8') =>
    b.linear(name, n, b.weight(`${name}.weight`, dtype, [256, 256]), activations);

  test('it fires on blocks of both sizes, and where several products read the norm', () => {
    expect(marksIn((b, norm) => product(b, norm('n'), 'q8_0', 'p'))).toEqual([32]);
    expect(marksIn((b, norm) => product(b, norm('n'), 'q4_k', 'p'))).toEqual([256]);
    const two: Parameters<typeof marksIn>[0] = (b, norm) => {
      const n = norm('n');
      return b.add('s', product(b, n, 'q8_0', 'p'), product(b, n, 'q4_0', 'o'));
    };
    expect(marksIn(two)).toEqual([32]);
  });
  test.each<[string, Parameters<typeof marksIn>[0], number[]]>([
    ['products of f32', (b, norm) => product(b, norm('n'), 'q8_0', 'p', 'f32'), [0]],
    ['formats without codes', (b, norm) => product(b, norm('n'), 'f16', 'p'), [0]],
    [
      'two sizes of blocks',
      (b, norm) => {
        const n = norm('n');
        return b.add('s', product(b, n, 'q8_0', 'p'), product(b, n, 'q4_k', 'o'));
      },
      [0],
    ],
    [
      'what something else reads too',
      (b, norm) => {
        const n = norm('n');
        return b.add('s', product(b, n, 'q8_0', 'p'), n);
      },
      [0],
    ],
    [
      'a norm whose codes another product would write over',
      (b, norm, x) => {
        const n = norm('n');
        const [first, other] = [product(b, n, 'q8_0', 'p'), product(b, x, 'q8_0', 'between')];
        return b.add('s', b.add('t', first, other), product(b, n, 'q8_0', 'o'));
      },
      [0],
    ],
    [
      'the first of two norms that are made before either is read',
      (b, norm) => {
        const [n, o] = [norm('n'), norm('o')];
        return b.add('s', product(b, n, 'q8_0', 'p'), product(b, o, 'q8_0', 'q'));
      },
      [0, 0],
    ],
  ])('%s', (_what, read, marks) => expect(marksIn(read)).toEqual(marks));
});
