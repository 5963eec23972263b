import type { ByteSource } from '../core/host.ts';
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
  readonly metadata: ReadonlyMap<string, MetaValue>;
  /** In the file's order; names as the file has them. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  close(): Promise<void>;
}

/**
 * 64-bit integers are numbers where they are exact (up to 2^53) and bigints above. A string is a Uint8Array when its bytes
 * are not UTF-8 (vocabulary pieces can be cut characters). Numeric arrays are typed arrays, others are plain arrays.
 */
export type MetaValue =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | {
      readonly arrayOf: string;
      readonly values: ArrayLike<number | bigint | boolean | string | Uint8Array> | MetaValue[];
    };

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
