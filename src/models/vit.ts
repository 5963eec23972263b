import { ShapeError, UnsupportedError } from '../core/errors.ts';
import { equalShapes, type Shape, showShape } from '../core/shape.ts';
import { createBuilder } from '../graph/build.ts';
import type { Graph } from '../graph/ir.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { dtypeOf } from '../load/weights.ts';
import type { Activations } from '../ops/linear.ts';
import { nRowsOf, type VitConfig } from './vit_config.ts';
import { createWeightTable } from './weight_table.ts';

/**
 * A vision transformer: patches -> embeddings; nLayers x (norm, attention, residual, norm, GELU, residual); norm, classifier.
 *
 *   patches [T, 3 * size * size], the rows of special tokens 0 -> linear -> + kind -> + position = x [T, dim]
 *     -> layernorm_before -> q, k, v [T, nHeads, headDim] -> scores [nHeads, T, T] -> probs -> mix [T, dim] -> dense -> + x
 *     -> layernorm_after -> gelu(intermediate) [T, hiddenDim] -> output -> + x
 *
 * The first layer is a convolution whose stride is its kernel's size: a linear of patches. What a row's kind adds is the class
 * token itself (its patch is 0) or the convolution's bias: `ids` says which, 0 for the class token, the last one for a patch.
 * Every row sees every row: runs are bidirectional.
 *
 * tensors: by Hugging Face names, as `vitTensors` gives them.
 * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
 * Source: Dosovitskiy et al. 2020, "An Image is Worth 16x16 Words", section 3.1; Touvron et al. 2020 for DeiT's second token.
 */
export function buildVit(config: VitConfig, tensors: ReadonlyMap<string, TensorInfo>, activations: Activations): Graph {
  const { prefix, patchSize, dim, hiddenDim, nHeads, headDim, normEps, labels } = config;
  const b = createBuilder();
  const table = createWeightTable(b, tensors, []);
  const ids = b.input('ids');
  const positions = b.input('positions');
  const outRows = b.input('outRows');
  /** y = x w^T + b; without a bias where the tensors may have none. */
  const dense = (name: string, x: number, stem: string, out: number, hasBias = true): number => {
    const y = b.linear(`${name}.product`, x, table.weight(`${stem}.weight`, [out, b.widthOf(x)]), activations);
    return hasBias ? b.addBias(name, y, table.weight(`${stem}.bias`, [out])) : y;
  };
  const norm = (name: string, x: number, stem: string): number =>
    b.layerNorm(name, x, table.weight(`${stem}.weight`, [dim]), table.weight(`${stem}.bias`, [dim]), normEps);
  const heads = (name: string, x: number): number => b.reshape(name, x, ['T', nHeads, headDim]);

  const e = `${prefix}.embeddings`;
  const kernel = table.weight(`${e}.patch_embeddings.projection.weight`, [dim, 3 * patchSize ** 2]);
  const kinds = kindTensors(prefix).map((name) => table.weight(name, [1, dim]));
  const kindFormat = dtypeOf(tensors.get(kindTensors(prefix)[0]!)!); // all have the same
  const kind = b.embed('kind', ids, b.concatWeights('kinds', kindFormat, kinds));
  const position = b.embed('position', positions, table.weight(`${e}.position_embeddings`, [nRowsOf(config), dim]));
  const patches = b.linear('patch_embedding', b.patches(3 * patchSize ** 2), kernel, activations);
  let x = b.add('embedding', b.add('embedding.kind', patches, kind), position); // x: [T, dim]

  for (let layer = 0; layer < config.nLayers; layer++) {
    const name = (part: string): string => `blk.${layer}.${part}`;
    const stem = (part: string): string => `${prefix}.encoder.layer.${layer}.${part}`;
    const project = (part: string): number =>
      dense(name(part), h, stem(`attention.attention.${part}`), dim, config.hasQkvBias);

    const h = norm(name('norm_before'), x, stem('layernorm_before'));
    const q = heads(name('q'), project('query'));
    const keys = b.kvWriteK(name('keys'), heads(name('k'), project('key')), layer); // keys: [S, nHeads, headDim], S = T
    const values = b.kvWriteV(name('values'), heads(name('v'), project('value')), layer);
    const scores = b.attendScores(name('scores'), q, keys, positions, 1 / Math.sqrt(headDim)); // scores: [nHeads, T, S]
    const probs = b.softmax(name('probs'), scores, positions);
    const mix = b.attendMix(name('mix'), probs, values, positions); // mix: [T, nHeads, headDim]
    const mixed = b.reshape(name('heads'), mix, ['T', dim]);
    const attended = b.add(
      name('attn_residual'),
      dense(name('attn_output'), mixed, stem('attention.output.dense'), dim),
      x,
    );

    const f = norm(name('norm_after'), attended, stem('layernorm_after'));
    const hidden = b.gelu(name('gelu'), dense(name('intermediate'), f, stem('intermediate.dense'), hiddenDim));
    x = b.add(name('residual'), dense(name('output'), hidden, stem('output.dense'), dim), attended);
  }

  const normed = norm('norm', x, `${prefix}.layernorm`);
  const all = dense('classifier', normed, 'classifier', labels.length); // all: [T, labels]
  const logits = b.takeRows('logits', all, outRows); // logits: [R, labels]
  table.checkAllUsed();
  return b.finish(logits, { nLayers: config.nLayers, nKvHeads: nHeads, headDim });
}

/** What each kind of row has of its own, by id. */
function kindTensors(prefix: VitConfig['prefix']): string[] {
  const e = `${prefix}.embeddings`;
  const distillation = prefix === 'deit' ? [`${e}.distillation_token`] : [];
  return [`${e}.cls_token`, ...distillation, `${e}.patch_embeddings.projection.bias`];
}

/**
 * A file's tensors as the graph reads them: the same bytes, with the axes that it knows. A kernel [dim, 3, size, size] is a
 * matrix of its dim rows, the tokens [1, 1, dim] and the convolution's bias [dim] are rows of a table.
 * Throws ShapeError when one of these has another shape, UnsupportedError when the rows of the table have several formats.
 */
export function vitTensors(config: VitConfig, tensors: ReadonlyMap<string, TensorInfo>): Map<string, TensorInfo> {
  const { prefix, patchSize, dim } = config;
  const e = `${prefix}.embeddings`;
  const nRows = nRowsOf(config);
  const renamed: [name: string, stored: Shape, read: Shape][] = [
    [`${e}.patch_embeddings.projection.weight`, [dim, 3, patchSize, patchSize], [dim, 3 * patchSize ** 2]],
    [`${e}.position_embeddings`, [1, nRows, dim], [nRows, dim]],
    ...kindTensors(prefix).map((name): [string, Shape, Shape] => [
      name,
      name.endsWith('.bias') ? [dim] : [1, 1, dim],
      [1, dim],
    ]),
  ];
  const read = new Map(tensors);
  for (const [name, stored, shape] of renamed) {
    const info = tensors.get(name);
    if (info === undefined) continue; // the graph's builder says so
    if (!equalShapes(info.shape, stored)) {
      throw new ShapeError(`tensor ${name} is ${showShape(info.shape)}, the config asks for ${showShape(stored)}`);
    }
    read.set(name, { ...info, shape });
  }
  const types = new Set(kindTensors(prefix).flatMap((name) => tensors.get(name)?.type ?? []));
  if (types.size > 1) {
    throw new UnsupportedError(
      `tensors ${kindTensors(prefix).join(' and ')} have the formats ${[...types].join(', ')}; one for all is supported`,
    );
  }
  return read;
}
