import fc from 'fast-check';
import { DTYPES, type DType, rowBytes } from '../../src/core/dtype.ts';
import { bufferSource } from '../../src/core/host.ts';
import type { Weight } from '../../src/core/tensor.ts';
import { createBuilder } from '../../src/graph/build.ts';
import type { Graph, ValueId } from '../../src/graph/ir.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import type { ExpertGroups } from '../../src/ops/choose_experts.ts';
import type { Activations } from '../../src/ops/linear.ts';
import { randomWeight } from '../graph/random_graph.ts';
import { testRandom } from './floats.ts';
import { fillWeights } from './tiny_llama.ts';

/** A model of embedding, feed-forwards of experts and output, without attention: what routing and experts may meet, small. */
export interface ExpertSpec {
  readonly seed: number;
  readonly dtype: DType;
  readonly activations: Activations;
  readonly nExperts: number;
  readonly nChosen: number;
  readonly groups: ExpertGroups | undefined;
  readonly scoring: 'softmax' | 'sigmoid';
  /** Added to the scores before the choice. */
  readonly hasBias: boolean;
  readonly isNormalized: boolean;
  readonly scale: number;
  /** all: the router is zeros, so that all scores are ties; some: it has equal rows. */
  readonly ties: 'none' | 'some' | 'all';
  readonly nLayers: number;
  readonly hiddenDim: number;
}

export interface ExpertModel {
  readonly spec: ExpertSpec;
  readonly graph: Graph;
  readonly weights: ReadonlyMap<string, Weight>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

const FORMATS: readonly DType[] = ['f32', 'f32', 'f16', 'bf16', 'q8_0', 'q8_0', 'q4_0', 'q4_0', 'q5_1', 'q5_1', 'q4_k'];

/** One expert, several, and all of them chosen; groups where the experts can be cut into halves. */
export const expertSpecs: fc.Arbitrary<ExpertSpec> = fc
  .record({
    seed: fc.nat(),
    dtype: fc.constantFrom(...FORMATS),
    activations: fc.constantFrom<Activations>('q8', 'f32'),
    nExperts: fc.constantFrom(1, 2, 4, 6, 8),
    choice: fc.nat(),
    isGrouped: fc.boolean(),
    scoring: fc.constantFrom('softmax' as const, 'sigmoid' as const),
    hasBias: fc.boolean(),
    isNormalized: fc.boolean(),
    scale: fc.constantFrom(1, 2.5),
    ties: fc.constantFrom('none' as const, 'none' as const, 'some' as const, 'all' as const),
    nLayers: fc.constantFrom(1, 1, 2),
    hiddenDim: fc.constantFrom(32, 64, 96),
  })
  .map(({ choice, isGrouped, ...drawn }) => {
    // Rows of super-blocks are long: of these, few.
    const spec = drawn.dtype === 'q4_k' ? { ...drawn, nExperts: 2, nLayers: 1 } : drawn;
    const size = spec.nExperts / 2;
    const hasGroups = isGrouped && Number.isInteger(size);
    const groups = hasGroups ? { count: 2, chosen: 1, scoredBy: 1 + (choice % Math.min(2, size)) } : undefined;
    return { ...spec, groups, nChosen: 1 + (choice % (groups ? size : spec.nExperts)) };
  });

export const expertModels: fc.Arbitrary<ExpertModel> = expertSpecs.map(buildExpertModel);

const VOCAB = 23;

export function buildExpertModel(spec: ExpertSpec): ExpertModel {
  const isWide = DTYPES[spec.dtype].blockSize > 32;
  const [dim, hiddenDim] = isWide ? [256, 256] : [spec.dtype === 'f32' ? 20 : 32, spec.hiddenDim];
  const random = testRandom(spec.seed);
  const weights = new Map<string, Weight>();
  const b = createBuilder();
  const weight = (name: string, dtype: DType, shape: readonly number[], spread = 2): ValueId => {
    if (shape.length === 3) {
      weights.set(name, randomWeight(name, dtype, shape, random));
      return b.weight(name, dtype, shape);
    }
    const width = shape.at(-1)!;
    const nRows = shape.slice(0, -1).reduce((n, size) => n * size, 1);
    const values = Float32Array.from(
      { length: nRows * width },
      () => ((random() - 0.5) * 2 * spread) / Math.sqrt(shape.length === 1 ? 1 : width),
    );
    if (name.includes('ffn_gate_inp')) tie(values, width, spec.ties);
    const bytes = new Uint8Array(nRows * rowBytes(dtype, width));
    fillWeights(dtype, values, random, bytes);
    weights.set(name, { name, dtype, shape, bytes });
    return b.weight(name, dtype, shape);
  };
  const ids = b.input('ids');
  const outRows = b.input('outRows');
  let x = b.embed('embedding', ids, weight('token_embd.weight', 'f32', [VOCAB, dim]));
  for (let layer = 0; layer < spec.nLayers; layer++) {
    const at = (part: string): string => `blk.${layer}.${part}`;
    const stack = (part: string, nOut: number, nIn: number): ValueId =>
      weight(at(`${part}.weight`), spec.dtype, [spec.nExperts, nOut, nIn]);
    const f = b.rmsNorm(at('ffn_norm'), x, weight(at('ffn_norm.weight'), 'f32', [dim]), 1e-5);
    const router = weight(at('ffn_gate_inp.weight'), 'f32', [spec.nExperts, dim], 6);
    const logits = b.linear(at('ffn_gate_inp'), f, router, spec.activations);
    const scores = spec.scoring === 'softmax' ? b.softmaxRows(at('scores'), logits) : b.sigmoid(at('scores'), logits);
    const ranked = spec.hasBias
      ? b.addBias(at('ranked'), scores, weight(at('bias'), 'f32', [spec.nExperts], 0.3))
      : scores;
    const experts = b.chooseExperts(at('experts'), ranked, spec.nChosen, spec.groups);
    const shares = b.expertWeights(at('shares'), scores, experts, spec.isNormalized, spec.scale);
    const gate = b.expertLinear(at('gate'), f, stack('ffn_gate_exps', hiddenDim, dim), experts, spec.activations);
    const up = b.expertLinear(at('up'), f, stack('ffn_up_exps', hiddenDim, dim), experts, spec.activations);
    const gated = b.mul(at('gated'), b.silu(at('silu'), gate), up);
    const down = b.expertLinear(at('down'), gated, stack('ffn_down_exps', dim, hiddenDim), experts, spec.activations);
    x = b.add(at('residual'), x, b.expertSum(at('sum'), down, shares));
  }
  const all = b.linear('output', x, weight('output.weight', 'f32', [VOCAB, dim]), spec.activations);
  const graph = b.finish(b.takeRows('logits', all, outRows), { nLayers: 1, nKvHeads: 1, headDim: 4 });
  const tensors = new Map(
    [...weights].map(([name, { dtype, shape, bytes }]) => [
      name,
      { name, type: dtype, shape, source: bufferSource(name, bytes), offset: 0, nBytes: bytes.length },
    ]),
  );
  return { spec, graph, weights, tensors };
}

/** Makes rows of the router equal: all of them, or every second one that of the one before. */
function tie(values: Float32Array, width: number, ties: ExpertSpec['ties']): void {
  if (ties === 'all') values.fill(0);
  if (ties !== 'some') return;
  for (let row = width; row < values.length; row += 2 * width) values.copyWithin(row, row - width, row);
}
