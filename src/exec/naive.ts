import type { Weight } from '../core/tensor.ts';
import { tensor } from '../core/tensor.ts';
import type { Graph } from '../graph/ir.ts';
import { createKvCache } from '../kvcache/create.ts';
import { heapStorage } from '../kvcache/heap_storage.ts';
import { CONTIGUOUS } from '../kvcache/options.ts';
import { add } from '../ops/add.ts';
import { addBias } from '../ops/add_bias.ts';
import { attend } from '../ops/attend.ts';
import { attendMix } from '../ops/attend_mix.ts';
import { attendScores } from '../ops/attend_scores.ts';
import { embed } from '../ops/embed.ts';
import { expertLinear } from '../ops/expert_linear.ts';
import { expertSum } from '../ops/expert_sum.ts';
import { expertWeights } from '../ops/expert_weights.ts';
import { geglu } from '../ops/geglu.ts';
import { gegluTanh } from '../ops/geglu_tanh.ts';
import { gelu } from '../ops/gelu.ts';
import { geluTanh } from '../ops/gelu_tanh.ts';
import { headLinear } from '../ops/head_linear.ts';
import { layerNorm } from '../ops/layer_norm.ts';
import { linear } from '../ops/linear.ts';
import { mul } from '../ops/mul.ts';
import { positionBias } from '../ops/position_bias.ts';
import { quickGelu } from '../ops/quick_gelu.ts';
import { relu } from '../ops/relu.ts';
import { residualNorm } from '../ops/residual_norm.ts';
import { rmsNorm } from '../ops/rms_norm.ts';
import { rope } from '../ops/rope.ts';
import { ropeTable } from '../ops/rope_table.ts';
import { scale } from '../ops/scale.ts';
import { sigmoid } from '../ops/sigmoid.ts';
import { silu } from '../ops/silu.ts';
import { siluFast } from '../ops/silu_fast.ts';
import { softCap } from '../ops/soft_cap.ts';
import { softmax } from '../ops/softmax.ts';
import { softmaxRows } from '../ops/softmax_rows.ts';
import { swiglu } from '../ops/swiglu.ts';
import { swigluFast } from '../ops/swiglu_fast.ts';
import { tanhOf } from '../ops/tanh.ts';
import { FORMATS } from '../quant/formats.ts';
import { checkCacheForm, type Executor } from './executor.ts';
import { createInterpreter, type OpSet } from './interpret.ts';

/** The f32 ops as the interpreter takes them. */
export const NAIVE_OPS: OpSet<Float32Array> = {
  embed,
  vector(w) {
    const data = new Float32Array(w.shape[0]!);
    FORMATS[w.dtype].unpack(w.bytes, 0, data, 0, data.length);
    return tensor(w.shape, data);
  },
  rmsNorm,
  residualNorm,
  layerNorm,
  addBias,
  linear,
  ropeTable,
  rope,
  attendScores,
  softmax,
  attendMix,
  attend,
  add,
  mul,
  silu,
  siluFast,
  gelu,
  geluTanh,
  quickGelu,
  relu,
  positionBias,
  tanh: tanhOf,
  softCap,
  scale,
  swiglu,
  swigluFast,
  geglu,
  gegluTanh,
  headLinear,
  sigmoid,
  softmaxRows,
  expertWeights,
  expertLinear,
  expertSum,
};

/** The definition: f32, plain loops, the bits that every faster path must give. */
export function createNaiveExecutor(graph: Graph, weights: ReadonlyMap<string, Weight>): Executor {
  return createInterpreter({
    tier: 'naive',
    graph,
    weights,
    ops: NAIVE_OPS,
    createCache(maxSeq, options = CONTIGUOUS) {
      checkCacheForm(graph, options);
      return createKvCache(options, { ...graph.kv, elementBytes: 4 }, maxSeq, heapStorage(Float32Array));
    },
  });
}
