import { DTYPES } from '../core/dtype.ts';
import { ShapeError, UnsupportedError } from '../core/errors.ts';
import { equalShapes, showShape } from '../core/shape.ts';
import { derived, elementType, stacked } from '../load/derived_tensors.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { readTensorBytes } from '../load/weights.ts';
import { FORMATS } from '../quant/formats.ts';
import type { Tensors } from './architecture.ts';
import type { T5Config, T5Stack } from './t5_config.ts';

/** The tensors of the two graphs, under the names of models/t5.ts. The embedding belongs to both. */
export interface T5Tensors {
  readonly encoder: Tensors;
  readonly decoder: Tensors;
  /** Where the encoder's output has keys (2 * layer) and values (2 * layer + 1) of a decoder layer: 0, 1, ... parts from its start. */
  readonly crossParts: readonly number[];
}

/**
 * Keys and values of the encoder's rows in all decoder layers: k and v of layer 0, k and v of layer 1, ..., the rows of one matrix. Files
 * whose matrices differ in format (llama.cpp writes Q4_K_M so) have one for each.
 */
export const crossRows = (index: number): string => `dec.cross_kv.${index}.weight`;

/** Copies that older files carry along, and a table that no layer of theirs reads. */
const LEFT_OUT = [
  'encoder.embed_tokens.weight',
  'decoder.embed_tokens.weight',
  'decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight',
];

const ATTENTION = { q: 'attn_q', k: 'attn_k', v: 'attn_v', o: 'attn_output' } as const;
const FEED_FORWARD = { wi: 'ffn_up', wi_0: 'ffn_gate', wi_1: 'ffn_up', wo: 'ffn_down' } as const;
const TOP: Readonly<Record<string, string>> = {
  'shared.weight': 'token_embd.weight',
  'lm_head.weight': 'output.weight',
  'encoder.final_layer_norm.weight': 'enc.output_norm.weight',
  'decoder.final_layer_norm.weight': 'dec.output_norm.weight',
};

/**
 * A folder's tensors under the names of models/t5.ts, parted between the graphs.
 * Throws UnsupportedError for a name that has no place, ShapeError for one that is missing or of another shape.
 */
export function t5Tensors(config: T5Config, tensors: Tensors): T5Tensors {
  const named = [...tensors].filter(([name]) => !LEFT_OUT.includes(name));
  return partT5(config, new Map(named.map(([name, info]) => [nameOf(name), info])));
}

/**
 * Tensors by the names of models/t5.ts, parted between the graphs: numbers of distances instead of buckets, and cross attention's
 * matrices of keys and values as one, which the encoder has. Throws as t5Tensors.
 */
export function partT5(config: T5Config, tensors: Tensors): T5Tensors {
  const encoder = new Map<string, TensorInfo>();
  const decoder = new Map<string, TensorInfo>();
  const cross = new Map<string, TensorInfo>();
  for (const [name, info] of tensors) {
    if (name === 'output.weight' && config.isTied) {
      throw new UnsupportedError(
        `tensor ${info.name} has no place in a t5 whose embedding is its head (tie_word_embeddings)`,
      );
    }
    if (/cross_attn_[kv]\.weight$/.test(name)) cross.set(name, info);
    else if (/attn_rel_b\.weight$/.test(name)) {
      (name.startsWith('enc.') ? encoder : decoder).set(name, byDistance(info, config, name.startsWith('enc.')));
    } else if (name.startsWith('enc.')) encoder.set(name, info);
    else decoder.set(name, info);
    if (name === 'token_embd.weight') encoder.set(name, info);
  }
  const parts: TensorInfo[] = [];
  const shape = [config.nHeads * config.headDim, config.dim];
  for (let layer = 0; layer < config.nDecoderLayers; layer++) {
    for (const which of ['k', 'v'] as const) {
      const name = `dec.blk.${layer}.cross_attn_${which}.weight`;
      const info = cross.get(name);
      if (info === undefined)
        throw new ShapeError(`tensor ${name} ${showShape(shape)} is missing; the model is not complete`);
      if (!equalShapes(info.shape, shape)) {
        throw new ShapeError(`tensor ${name} is ${showShape(info.shape)}, the config asks for ${showShape(shape)}`);
      }
      cross.delete(name);
      parts.push(info);
    }
  }
  const [surplus] = cross.keys();
  if (surplus !== undefined) {
    throw new UnsupportedError(`tensor ${surplus} has no place in a t5 of ${config.nDecoderLayers} decoder layers`);
  }
  const formats = [...new Set(parts.map(({ type }) => type))];
  const order = formats.flatMap((format) => parts.flatMap(({ type }, part) => (type === format ? [part] : [])));
  formats.forEach((format, i) => {
    const ofFormat = parts.filter(({ type }) => type === format);
    encoder.set(crossRows(i), stacked(ofFormat, 'first axis'));
  });
  return { encoder, decoder, crossParts: parts.map((_, part) => order.indexOf(part)) };
}

/** Throws UnsupportedError for a name that is none of a T5's. */
function nameOf(hfName: string): string {
  const top = TOP[hfName];
  if (top !== undefined) return top;
  const [, side, block, layer, part] =
    /^(encoder|decoder)\.block\.(\d+)\.layer\.(\d+)\.(.+)\.weight$/.exec(hfName) ?? [];
  const last = side === 'encoder' ? '1' : '2';
  const at = `${side === 'encoder' ? 'enc' : 'dec'}.blk.${block}`;
  const [, kind, matrix] = /^(\w+)\.(\w+)$/.exec(part ?? '') ?? [];
  const attention = ATTENTION[matrix as keyof typeof ATTENTION];
  const feedForward = FEED_FORWARD[matrix as keyof typeof FEED_FORWARD];
  if (layer === '0') {
    if (part === 'layer_norm') return `${at}.attn_norm.weight`;
    if (kind === 'SelfAttention' && matrix === 'relative_attention_bias') return `${at}.attn_rel_b.weight`;
    if (kind === 'SelfAttention' && attention !== undefined) return `${at}.${attention}.weight`;
  } else if (layer === last) {
    if (part === 'layer_norm') return `${at}.ffn_norm.weight`;
    if (kind === 'DenseReluDense' && feedForward !== undefined) return `${at}.${feedForward}.weight`;
  } else if (layer === '1') {
    if (part === 'layer_norm') return `${at}.cross_attn_norm.weight`;
    if (kind === 'EncDecAttention' && attention !== undefined) return `${at}.cross_${attention}.weight`;
  }
  throw new UnsupportedError(`tensor ${hfName} has no place in a t5; the model is a variant that cannot be run yet`);
}

/**
 * The bucket of a distance s - t: near ones have their own, further ones share, on a scale of logarithms, up to maxDistance.
 *
 *   d < e: d        else: e + floor((n - e) log(d / e) / log(maxDistance / e)), at most n - 1        e = n / 2
 *
 * In the encoder half of the buckets are for what lies before a row, half for what follows; the decoder's row sees nothing behind
 * itself. The logarithms are compared as whole numbers: d^(n-e) e^k >= maxDistance^k e^(n-e).
 * Source: Raffel et al. 2020, "T5", section 2.1; its code, mesh_tensorflow/transformer/transformer_layers.py.
 */
export function bucketOf(distance: number, nBuckets: number, maxDistance: number, isBidirectional: boolean): number {
  const n = isBidirectional ? nBuckets / 2 : nBuckets;
  const first = isBidirectional && distance > 0 ? n : 0;
  const d = isBidirectional ? Math.abs(distance) : Math.max(0, -distance);
  const nExact = n / 2;
  if (d < nExact) return first + d;
  const [far, near, m] = [BigInt(maxDistance), BigInt(nExact), BigInt(n - nExact)];
  const power = BigInt(d) ** m;
  let k = 0n;
  while (k < m - 1n && power * near ** (k + 1n) >= far ** (k + 1n) * near ** m) k++;
  return first + nExact + Number(k);
}

/** [nBuckets, nHeads] -> f32 [nHeads * (2 maxDistance + 1)], what op position_bias reads. Throws ShapeError for another shape. */
export function byDistance(
  info: TensorInfo,
  { nBuckets, nHeads, maxDistance }: Pick<T5Stack, 'nBuckets' | 'nHeads' | 'maxDistance'>,
  isBidirectional: boolean,
): TensorInfo {
  if (!equalShapes(info.shape, [nBuckets, nHeads])) {
    throw new ShapeError(
      `tensor ${info.name} is ${showShape(info.shape)}, the config asks for ${showShape([nBuckets, nHeads])}`,
    );
  }
  const dtype = elementType(info);
  const width = 2 * maxDistance + 1;
  const nBytes = 4 * nHeads * width;
  return derived(info, 'f32', [nHeads * width], nBytes, async (at, into) => {
    const bytes = new Uint8Array(nBuckets * nHeads * DTYPES[dtype].blockBytes);
    await readTensorBytes(info, 0, bytes);
    const byBucket = new Float32Array(nBuckets * nHeads);
    FORMATS[dtype].unpack(bytes, 0, byBucket, 0, byBucket.length);
    const numbers = new Float32Array(nHeads * width);
    for (let i = 0; i < width; i++) {
      const bucket = bucketOf(i - maxDistance, nBuckets, maxDistance, isBidirectional);
      for (let h = 0; h < nHeads; h++) numbers[h * width + i] = byBucket[bucket * nHeads + h]!;
    }
    const packed = new Uint8Array(nBytes);
    FORMATS.f32.pack(numbers, 0, numbers.length, packed, 0);
    into.set(packed.subarray(at, at + into.length));
  });
}
