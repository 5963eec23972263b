import { ShapeError, UnsupportedError } from '../core/errors.ts';
import { equalShapes, showShape } from '../core/shape.ts';
import { createBuilder, type GraphBuilder } from '../graph/build.ts';
import type { Graph, ValueId } from '../graph/ir.ts';
import { derived, elementType } from '../load/derived_tensors.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { readTensorBytes } from '../load/weights.ts';
import type { Activations } from '../ops/linear.ts';
import type { Tensors } from './architecture.ts';
import type { ClipConfig, ClipTower } from './clip_config.ts';
import { nRowsOf } from './vit_config.ts';
import { createWeightTable, type WeightTable } from './weight_table.ts';

/**
 * CLIP: a picture and a text become vectors of one space, and are near each other where the text says what the picture shows.
 *
 *   patches [T, 3 * size * size] -> linear -> + class token or nothing -> + position -> norm -> layers -> norm of the class row
 *   ids [T] -> embed -> + position -> layers -> norm of the end token's row
 *     layer: x [T, dim] -> norm -> q, k, v -> scores [nHeads, T, S] -> probs -> mix -> out -> + x -> norm -> fc1 -> gelu -> fc2 -> +
 *   each -> projection [R, vectorDim]
 *
 * Rows of a picture see every row, rows of a text those up to their own: the batch says so. The norms' order and biases are a
 * vision transformer's (vit.ts); pre_layrnorm is spelt as the files spell it.
 * Source: Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", section 2.4.
 */
export function buildClipVision({ vision, vectorDim }: ClipConfig, tensors: Tensors, activations: Activations): Graph {
  const { dim, patchSize } = vision;
  const t = createTower(vision, tensors, activations);
  const { b, table } = t;
  const e = 'vision_model.embeddings';
  const kernel = table.weight(`${e}.patch_embedding.weight`, [dim, 3 * patchSize ** 2]);
  const kind = b.embed('kind', b.input('ids'), table.weight(`${e}.class_embedding`, [2, dim]));
  const patches = b.linear('patch_embedding', b.patches(3 * patchSize ** 2), kernel, activations);
  const places = table.weight(`${e}.position_embedding.weight`, [nRowsOf(vision), dim]);
  const x = b.add('embedding', b.add('embedding.kind', patches, kind), b.embed('position', t.positions, places));
  const y = t.layers('vision_model', t.norm('pre_norm', x, 'vision_model.pre_layrnorm'));
  return t.finish(y, 'vision_model.post_layernorm', 'visual_projection.weight', vectorDim);
}

export function buildClipText({ text, vectorDim }: ClipConfig, tensors: Tensors, activations: Activations): Graph {
  const { dim, vocab, maxContext } = text;
  const t = createTower(text, tensors, activations);
  const { b, table } = t;
  const e = 'text_model.embeddings';
  const words = b.embed('words', b.input('ids'), table.weight(`${e}.token_embedding.weight`, [vocab, dim]));
  const places = table.weight(`${e}.position_embedding.weight`, [maxContext, dim]);
  const x = b.add('embedding', words, b.embed('position', t.positions, places));
  return t.finish(t.layers('text_model', x), 'text_model.final_layer_norm', 'text_projection.weight', vectorDim);
}

/** The parts of both towers. Weights are asked for by their Hugging Face names. */
function createTower(
  { dim, hiddenDim, nLayers, nHeads, headDim, normEps, activation }: ClipTower,
  tensors: Tensors,
  activations: Activations,
) {
  const b: GraphBuilder = createBuilder();
  const table: WeightTable = createWeightTable(b, tensors, []);
  const positions = b.input('positions');
  const outRows = b.input('outRows');

  const dense = (name: string, x: ValueId, stem: string, nOut: number): ValueId => {
    const y = b.linear(`${name}.product`, x, table.weight(`${stem}.weight`, [nOut, b.widthOf(x)]), activations);
    return b.addBias(name, y, table.weight(`${stem}.bias`, [nOut]));
  };
  const norm = (name: string, x: ValueId, stem: string): ValueId =>
    b.layerNorm(name, x, table.weight(`${stem}.weight`, [dim]), table.weight(`${stem}.bias`, [dim]), normEps);

  const block = (layer: number, stem: string, x: ValueId): ValueId => {
    const name = (part: string): string => `blk.${layer}.${part}`;
    const h = norm(name('norm1'), x, `${stem}.layer_norm1`);
    const heads = (part: string): ValueId =>
      b.reshape(name(part), dense(name(`${part}_proj`), h, `${stem}.self_attn.${part}_proj`, dim), [
        'T',
        nHeads,
        headDim,
      ]);
    const q = heads('q');
    const keys = b.kvWriteK(name('keys'), heads('k'), layer); // keys: [S, nHeads, headDim]
    const values = b.kvWriteV(name('values'), heads('v'), layer);
    const scores = b.attendScores(name('scores'), q, keys, positions, 1 / Math.sqrt(headDim)); // scores: [nHeads, T, S]
    const probs = b.softmax(name('probs'), scores, positions);
    const mix = b.reshape(name('heads'), b.attendMix(name('mix'), probs, values, positions), ['T', dim]);
    const attended = b.add(name('attn_residual'), dense(name('out_proj'), mix, `${stem}.self_attn.out_proj`, dim), x);

    const f = norm(name('norm2'), attended, `${stem}.layer_norm2`);
    const up = dense(name('fc1'), f, `${stem}.mlp.fc1`, hiddenDim);
    const hidden = activation === 'gelu' ? b.gelu(name('gelu'), up) : b.quickGelu(name('quick_gelu'), up);
    return b.add(name('residual'), dense(name('fc2'), hidden, `${stem}.mlp.fc2`, dim), attended);
  };

  return {
    b,
    table,
    positions,
    norm,
    layers(tower: string, x: ValueId): ValueId {
      let y = x;
      for (let layer = 0; layer < nLayers; layer++) y = block(layer, `${tower}.encoder.layers.${layer}`, y);
      return y;
    },
    /** x [T, dim] -> the rows that a run asks for, normed and projected: [R, vectorDim]. */
    finish(x: ValueId, lastNorm: string, projection: string, vectorDim: number): Graph {
      const row = norm('norm', b.takeRows('rows', x, outRows), lastNorm);
      const vectors = b.linear('vectors', row, table.weight(projection, [vectorDim, dim]), activations);
      table.checkAllUsed();
      return b.finish(vectors, { nLayers, nKvHeads: nHeads, headDim });
    },
  };
}

/** A file's tensors by the graph that reads them. */
export interface ClipTensors {
  readonly text: Tensors;
  readonly vision: Tensors;
}

export const LOGIT_SCALE = 'logit_scale';
const CLASS_TOKEN = 'vision_model.embeddings.class_embedding';
const KERNEL = 'vision_model.embeddings.patch_embedding.weight';

/** Lists of 0, 1, 2, ... that older files carry along. */
const POSITION_IDS = ['text_model.embeddings.position_ids', 'vision_model.embeddings.position_ids'];

/**
 * Parts a file's tensors, with the axes that the graphs know: the kernel [dim, 3, size, size] is a matrix of its dim rows. The class
 * token [dim] is the first of two rows: the other one, of zeros, is what a patch is given (this convolution has no bias).
 * Throws ShapeError when one of these has another shape or the scale is missing, UnsupportedError for a tensor that belongs to
 * neither tower.
 */
export function clipTensors({ vision: { dim, patchSize } }: ClipConfig, tensors: Tensors): ClipTensors {
  const scale = tensors.get(LOGIT_SCALE);
  if (scale === undefined) throw new ShapeError(`tensor ${LOGIT_SCALE} is missing; the file is not a complete CLIP`);
  if (!equalShapes(scale.shape, []) && !equalShapes(scale.shape, [1])) {
    throw new ShapeError(`tensor ${LOGIT_SCALE} is ${showShape(scale.shape)}, expected one number`);
  }
  const text = new Map<string, TensorInfo>();
  const vision = new Map<string, TensorInfo>();
  for (const [name, info] of tensors) {
    if (name === LOGIT_SCALE || POSITION_IDS.includes(name)) continue;
    if (/^text_(model|projection)\./.test(name)) text.set(name, info);
    else if (/^(vision_model|visual_projection)\./.test(name)) vision.set(name, info);
    else throw new UnsupportedError(`tensor ${name} has no place in a clip; it is a variant that cannot be run yet`);
  }
  const kernel = vision.get(KERNEL);
  if (kernel !== undefined) {
    checkShape(kernel, [dim, 3, patchSize, patchSize]);
    vision.set(KERNEL, { ...kernel, shape: [dim, 3 * patchSize ** 2] });
  }
  const token = vision.get(CLASS_TOKEN);
  if (token !== undefined) {
    checkShape(token, [dim]);
    vision.set(CLASS_TOKEN, withZeros(token));
  }
  return { text, vision };
}

/** [n] -> [2, n]: its numbers, then zeros. Throws UnsupportedError for a block format. */
function withZeros(info: TensorInfo): TensorInfo {
  elementType(info);
  return derived(info, info.type, [2, ...info.shape], 2 * info.nBytes, async (at, into) => {
    const nStored = Math.max(0, Math.min(into.length, info.nBytes - at));
    if (nStored > 0) await readTensorBytes(info, at, into.subarray(0, nStored));
    into.fill(0, nStored);
  });
}

function checkShape({ name, shape }: TensorInfo, expected: readonly number[]): void {
  if (equalShapes(shape, expected)) return;
  throw new ShapeError(`tensor ${name} is ${showShape(shape)}, the config asks for ${showShape(expected)}`);
}
