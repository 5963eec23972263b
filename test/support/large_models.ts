import { truncate, writeFile } from 'node:fs/promises';
import { rowBytes } from '../../src/core/dtype.ts';
import { randomGguf } from '../../src/load/random_gguf.ts';

/** Models of more than 4 GiB, of which only the heads exist: the rest of their files is a hole that takes no disk. */

const SHAPE = {
  nLayers: 5,
  dim: 4096,
  nHeads: 32,
  nKvHeads: 32,
  hiddenDim: 16384,
  vocab: 300,
  maxContext: 64,
  tied: true,
};

/** More than all tensors of the shape. */
export const LARGE_BYTES = 6e9;

export async function sparseFile(path: string, head: Uint8Array, nBytes: number): Promise<string> {
  await writeFile(path, head);
  await truncate(path, nBytes);
  return path;
}

/** Everything of a GGUF file but its weights. */
export function largeGgufHead(): Uint8Array {
  const model = randomGguf({ architecture: 'llama', shape: SHAPE, format: 'f32', seed: 1 });
  return model.chunks().next().value!.slice();
}

/** The head of model.safetensors, the size of that file, and what lies beside it. */
export function largeSafetensors(): {
  readonly head: { readonly bytes: Uint8Array; readonly fileBytes: number };
  readonly files: Readonly<Record<string, string>>;
} {
  const { nLayers, dim, hiddenDim, vocab } = SHAPE;
  const layers = Array.from({ length: nLayers }, (_, i): [string, number[]][] => {
    const at = `model.layers.${i}`;
    return [
      [`${at}.input_layernorm.weight`, [dim]],
      [`${at}.post_attention_layernorm.weight`, [dim]],
      ...['q', 'k', 'v', 'o'].map((name): [string, number[]] => [`${at}.self_attn.${name}_proj.weight`, [dim, dim]]),
      [`${at}.mlp.gate_proj.weight`, [hiddenDim, dim]],
      [`${at}.mlp.up_proj.weight`, [hiddenDim, dim]],
      [`${at}.mlp.down_proj.weight`, [dim, hiddenDim]],
    ];
  });
  const tensors: [string, number[]][] = [
    ['model.embed_tokens.weight', [vocab, dim]],
    ...layers.flat(),
    ['model.norm.weight', [dim]],
  ];
  let end = 0;
  const entries = tensors.map(([name, shape]) => {
    const begin = end;
    end += shape.slice(0, -1).reduce((a, b) => a * b, 1) * rowBytes('f32', shape.at(-1)!);
    return [name, { dtype: 'F32', shape, data_offsets: [begin, end] }] as const;
  });
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const bytes = new Uint8Array(8 + json.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  const pieces = Array.from({ length: vocab }, (_, id) => String.fromCharCode(0x100 + id));
  return {
    head: { bytes, fileBytes: bytes.length + end },
    files: {
      'config.json': JSON.stringify({
        model_type: 'llama',
        vocab_size: vocab,
        hidden_size: dim,
        intermediate_size: hiddenDim,
        num_hidden_layers: nLayers,
        num_attention_heads: SHAPE.nHeads,
        num_key_value_heads: SHAPE.nKvHeads,
        max_position_embeddings: SHAPE.maxContext,
        rms_norm_eps: 1e-5,
        rope_theta: 10000,
        hidden_act: 'silu',
        tie_word_embeddings: true,
      }),
      'tokenizer.json': JSON.stringify({
        model: { type: 'BPE', vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])), merges: [] },
        decoder: { type: 'Fuse' },
      }),
    },
  };
}
