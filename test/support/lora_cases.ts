import type { DType } from '../../src/core/dtype.ts';
import { bufferSource } from '../../src/core/host.ts';
import type { MetaType, MetaValue } from '../../src/core/metadata.ts';
import type { ModelSource } from '../../src/engine/model_source.ts';
import { writeGguf } from '../../src/load/gguf_writer.ts';
import { writeSafetensors } from '../../src/load/safetensors_writer.ts';
import { FORMATS, type PackableDType } from '../../src/quant/formats.ts';
import { folderOf } from '../load/sources.ts';

/** Random adapters, written as both kinds of files. */

export interface LoraWeights {
  readonly rank: number;
  readonly in: number;
  readonly out: number;
  readonly a: Float32Array;
  readonly b: Float32Array;
}

/** Numbers of about the size that trained adapters have beside weights of 1 / sqrt(in). */
export function randomPair(rank: number, nIn: number, nOut: number, seed: number): LoraWeights {
  let state = seed >>> 0;
  const draw = (limit: number) => () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.fround((state / 2 ** 31 - 1) * limit);
  };
  const fill = (n: number, limit: number) => Float32Array.from({ length: n }, draw(limit));
  return {
    rank,
    in: nIn,
    out: nOut,
    a: fill(rank * nIn, 1 / Math.sqrt(nIn)),
    b: fill(nOut * rank, 1 / Math.sqrt(rank)),
  };
}

export type Adapter = ReadonlyMap<string, LoraWeights>;

export interface GgufLora {
  readonly format?: PackableDType;
  readonly alpha?: number;
  readonly architecture?: string;
  readonly metadata?: readonly (readonly [string, MetaType, MetaValue])[];
}

export function ggufLora(adapter: Adapter, options: GgufLora = {}): Uint8Array<ArrayBuffer> {
  const { format = 'f32', alpha = 8, architecture = 'llama', metadata } = options;
  const packed = (values: Float32Array): Uint8Array => {
    const { blockBytes, blockSize, pack } = FORMATS[format];
    const bytes = new Uint8Array((values.length / blockSize) * blockBytes);
    pack(values, 0, values.length, bytes, 0);
    return bytes;
  };
  return writeGguf({
    metadata: metadata ?? loraMetadata(architecture, alpha),
    tensors: [...adapter].flatMap(([name, { rank, in: nIn, out, a, b }]) => [
      { name: `${name}.lora_a`, type: format satisfies DType, shape: [rank, nIn], bytes: packed(a) },
      { name: `${name}.lora_b`, type: format satisfies DType, shape: [out, rank], bytes: packed(b) },
    ]),
  });
}

export function loraMetadata(architecture: string, alpha: number): (readonly [string, MetaType, MetaValue])[] {
  return [
    ['general.type', 'string', 'adapter'],
    ['general.architecture', 'string', architecture],
    ['adapter.type', 'string', 'lora'],
    ['adapter.lora.alpha', 'f32', alpha],
  ];
}

export const PEFT_DEFAULTS = {
  peft_type: 'LORA',
  r: 4,
  lora_alpha: 8,
  bias: 'none',
  use_rslora: false,
  use_dora: false,
  modules_to_save: null,
  lora_dropout: 0.05,
  target_modules: ['q_proj'],
  init_lora_weights: true,
  megatron_core: 'megatron.core',
  rank_pattern: {},
};

/** The two files of PEFT. adapter: by Hugging Face's names of the weights. */
export function peftFiles(adapter: Adapter, config: object = {}): Record<string, Uint8Array> {
  const tensors = [...adapter].flatMap(([name, { rank, in: nIn, out, a, b }]) => {
    const module = `base_model.model.${name.replace(/\.weight$/, '')}`;
    return [
      { name: `${module}.lora_A.weight`, shape: [rank, nIn], dtype: 'F32' as const, data: a },
      { name: `${module}.lora_B.weight`, shape: [out, rank], dtype: 'F32' as const, data: b },
    ];
  });
  return {
    'adapter_config.json': new TextEncoder().encode(JSON.stringify({ ...PEFT_DEFAULTS, ...config })),
    'adapter_model.safetensors': writeSafetensors(tensors),
  };
}

export function fileSource(bytes: Uint8Array, name = 'adapter.gguf'): () => Promise<ModelSource> {
  return async () => ({ kind: 'file', source: bufferSource(name, bytes) });
}

export function folderSource(files: Record<string, Uint8Array>): () => Promise<ModelSource> {
  return async () => ({ kind: 'folder', folder: folderOf(files) });
}
