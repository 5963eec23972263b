import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bufferSource } from '../../src/core/host.ts';
import type { MetaType, MetaValue } from '../../src/core/metadata.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { type GgufContent, type GgufTensor, writeGguf } from '../../src/load/gguf_writer.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { tinyLlama } from '../support/tiny_llama.ts';

export const EMBEDDED = fileURLToPath(new URL('../../src/embedded/lm/model.gguf', import.meta.url));

/** A folder of its own for each test file, removed at the end. */
export async function createTempFolder(): Promise<{
  readonly path: string;
  /** Writes a file and gives its path. */
  put(name: string, content: Uint8Array | string): Promise<string>;
  remove(): Promise<void>;
}> {
  const path = await mkdtemp(join(tmpdir(), 'glassformer-cli-'));
  return {
    path,
    async put(name, content) {
      const file = join(path, name);
      await writeFile(file, content);
      return file;
    },
    remove: () => rm(path, { recursive: true, force: true }),
  };
}

/** The embedded model as the GGUF writer takes it, to be changed and written again. */
export async function embeddedContent(): Promise<GgufContent> {
  const file = await openGguf(bufferSource('embedded', new Uint8Array(await readFile(EMBEDDED))));
  const tensors = await Promise.all([...file.tensors.values()].map(toGgufTensor));
  return { metadata: [...file.metadata].map(([key, value]) => [key, typeOf(key, value), value] as const), tensors };
}

async function toGgufTensor({ name, type, shape, source, offset, nBytes }: TensorInfo): Promise<GgufTensor> {
  const bytes = new Uint8Array(nBytes);
  await source.read(offset, bytes);
  return { name, type, shape, bytes };
}

function typeOf(key: string, value: MetaValue): MetaType {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'object') return 'array';
  return /epsilon|freq_base/.test(key) ? 'f32' : 'u32';
}

/**
 * A whole GGUF model of random weights with the embedded model's vocabulary: a few milliseconds a run even in the naive tiers.
 * It never ends a text by itself, or hardly ever.
 */
export async function tinyContent(): Promise<GgufContent> {
  const embedded = await embeddedContent();
  const { config, tensors } = tinyLlama({ seed: 1, dtype: 'q8_0', tied: true, config: { vocab: 1024, nLayers: 1 } });
  const sizes: Readonly<Record<string, number>> = {
    'llama.context_length': config.maxContext,
    'llama.embedding_length': config.dim,
    'llama.block_count': config.nLayers,
    'llama.feed_forward_length': config.hiddenDim,
    'llama.attention.head_count': config.nHeads,
    'llama.attention.head_count_kv': config.nKvHeads,
    'llama.rope.dimension_count': config.ropeDim,
  };
  return {
    metadata: embedded.metadata.map(([key, type, value]) => [key, type, sizes[key] ?? value] as const),
    tensors: await Promise.all([...tensors.values()].map(toGgufTensor)),
  };
}

/** The content with one pair set or added. */
export function withPair(content: GgufContent, key: string, type: MetaType, value: MetaValue): GgufContent {
  const others = content.metadata.filter(([k]) => k !== key);
  return { ...content, metadata: [...others, [key, type, value]] };
}

/** The content with one tensor changed, or left out. */
export function withTensor(
  content: GgufContent,
  name: string,
  change: (tensor: GgufTensor) => GgufTensor | null,
): GgufContent {
  const tensors = content.tensors.map((tensor) => (tensor.name === name ? change(tensor) : tensor));
  return { ...content, tensors: tensors.filter((tensor) => tensor !== null) };
}

/** ChatML with single special tokens of the embedded vocabulary. */
export const CHAT_TEMPLATE = `{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}`;

export { writeGguf };
