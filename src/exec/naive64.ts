import type { Weight } from '../core/tensor.ts';
import { tensor } from '../core/tensor.ts';
import type { Graph } from '../graph/ir.ts';
import { createKvCache } from '../kvcache/create.ts';
import { heapStorage } from '../kvcache/heap_storage.ts';
import { CONTIGUOUS } from '../kvcache/options.ts';
import { add64 } from '../ops/add.ts';
import { addBias64 } from '../ops/add_bias.ts';
import { attend64 } from '../ops/attend.ts';
import { attendMix64 } from '../ops/attend_mix.ts';
import { attendScores64 } from '../ops/attend_scores.ts';
import { embed64 } from '../ops/embed.ts';
import { expertLinear64 } from '../ops/expert_linear.ts';
import { expertSum64 } from '../ops/expert_sum.ts';
import { expertWeights64 } from '../ops/expert_weights.ts';
import { geglu64 } from '../ops/geglu.ts';
import { gegluTanh64 } from '../ops/geglu_tanh.ts';
import { gelu64 } from '../ops/gelu.ts';
import { geluTanh64 } from '../ops/gelu_tanh.ts';
import { headLinear64 } from '../ops/head_linear.ts';
import { layerNorm64 } from '../ops/layer_norm.ts';
import { linear64 } from '../ops/linear.ts';
import { mul64 } from '../ops/mul.ts';
import { positionBias64 } from '../ops/position_bias.ts';
import { quickGelu64 } from '../ops/quick_gelu.ts';
import { relu64 } from '../ops/relu.ts';
import { residualNorm64 } from '../ops/residual_norm.ts';
import { rmsNorm64 } from '../ops/rms_norm.ts';
import { rope64 } from '../ops/rope.ts';
import { ropeTable64 } from '../ops/rope_table.ts';
import { scale64 } from '../ops/scale.ts';
import { sigmoid64 } from '../ops/sigmoid.ts';
import { silu64 } from '../ops/silu.ts';
import { siluFast64 } from '../ops/silu_fast.ts';
import { softCap64 } from '../ops/soft_cap.ts';
import { softmax64 } from '../ops/softmax.ts';
import { softmaxRows64 } from '../ops/softmax_rows.ts';
import { swiglu64 } from '../ops/swiglu.ts';
import { swigluFast64 } from '../ops/swiglu_fast.ts';
import { tanhOf64 } from '../ops/tanh.ts';
import { FORMATS } from '../quant/formats.ts';
import { checkCacheForm, type Executor } from './executor.ts';
import { createInterpreter, type OpSet } from './interpret.ts';

const OPS64: OpSet<Float64Array> = {
  embed: embed64,
  vector(w) {
    const data = new Float32Array(w.shape[0]!);
    FORMATS[w.dtype].unpack(w.bytes, 0, data, 0, data.length);
    return tensor(w.shape, Float64Array.from(data));
  },
  rmsNorm: rmsNorm64,
  residualNorm: residualNorm64,
  layerNorm: layerNorm64,
  addBias: addBias64,
  linear: linear64,
  ropeTable: ropeTable64,
  rope: rope64,
  attendScores: attendScores64,
  softmax: softmax64,
  attendMix: attendMix64,
  attend: attend64,
  add: add64,
  mul: mul64,
  silu: silu64,
  siluFast: siluFast64,
  gelu: gelu64,
  geluTanh: geluTanh64,
  quickGelu: quickGelu64,
  relu: relu64,
  positionBias: positionBias64,
  tanh: tanhOf64,
  softCap: softCap64,
  scale: scale64,
  swiglu: swiglu64,
  swigluFast: swigluFast64,
  geglu: geglu64,
  gegluTanh: gegluTanh64,
  headLinear: headLinear64,
  sigmoid: sigmoid64,
  softmaxRows: softmaxRows64,
  expertWeights: expertWeights64,
  expertLinear: expertLinear64,
  expertSum: expertSum64,
};

/** The truth: float64 with compensated sums, over weights unpacked exactly. Activations are never quantized here. */
export function createNaive64Executor(graph: Graph, weights: ReadonlyMap<string, Weight>): Executor {
  return createInterpreter({
    tier: 'naive64',
    graph,
    weights,
    ops: OPS64,
    createCache(maxSeq, options = CONTIGUOUS) {
      checkCacheForm(graph, options);
      return createKvCache(options, { ...graph.kv, elementBytes: 8 }, maxSeq, heapStorage(Float64Array));
    },
  });
}
