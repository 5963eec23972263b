import type { ByteSource } from '../core/host.ts';
import type { Metadata } from '../core/metadata.ts';
import type { Shape } from '../core/shape.ts';

/**
 * What every reader of a weight file gives: metadata, and a directory of tensors. No tensor data has been read yet.
 * `load/gguf.ts` and `load/safetensors.ts` make it; `models/config.ts` and `load/weights.ts` read it.
 */
export interface ModelFile {
  readonly format: 'gguf' | 'safetensors';
  /** The file's (or first shard's) name, for messages. */
  readonly name: string;
  /** GGUF key-value pairs, or the strings of safetensors' __metadata__; in the file's order. */
  readonly metadata: Metadata;
  /** In the file's order; names as the file has them. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Closes every source that the reader was handed or opened: the file, and its shards. */
  close(): Promise<void>;
}

export interface TensorInfo {
  readonly name: string;
  /** The format's name in lower case, e.g. "f32", "q8_0", "iq2_xxs", "i64": known, not necessarily one that can be run. */
  readonly type: string;
  /** Outermost axis first, as everywhere here (GGUF files have it innermost first). */
  readonly shape: Shape;
  readonly source: ByteSource;
  /** First byte of the data within `source`. */
  readonly offset: number;
  readonly nBytes: number;
}
