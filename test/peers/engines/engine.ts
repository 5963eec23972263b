/** What an engine's process is told to open. */
export interface OpenOptions {
  readonly model: string;
  readonly threads: number;
  /** Of Glassformer alone. */
  readonly kernels?: 'auto' | 'simd' | 'relaxed';
  readonly maxSeq: number;
  /** Adapters in GGUF; of llama.cpp's `logits` alone. */
  readonly lora?: readonly { readonly filePath: string; readonly scale: number }[];
}

/** An engine as a child process drives it. */
export interface Engine {
  /** Its name and version, and how it was set up. */
  readonly version: string;
  /** Bytes of weights in memory that one token is multiplied with, where it is known. */
  readonly weightBytes?: number;
  /** Forgets everything that was appended. */
  clear(): Promise<void>;
  /** Runs the tokens after those that are there, with logits of the last one. */
  append(ids: readonly number[]): Promise<void>;
  /** The logits of the last position of `ids`, run from nothing, by token id. */
  logits(ids: readonly number[]): Promise<number[]>;
}

export type Call =
  | { readonly name: 'open'; readonly options: OpenOptions }
  /** A prompt, from nothing. */
  | { readonly name: 'prefill'; readonly nTokens: number }
  /** One token after the other, with `after` others before them, which are not timed. */
  | { readonly name: 'decode'; readonly nTokens: number; readonly after: number }
  /** One core reading memory with nothing else to do: kernels/ladder. */
  | { readonly name: 'stream' }
  | { readonly name: 'logits'; readonly ids: readonly number[] };

/** One timed piece of work. */
export interface Sample {
  readonly clockMs: number;
  /** Of all threads of the process. */
  readonly cpuMs: number;
  /** Of the process up to now. */
  readonly peakRssBytes: number;
}

/** `sample` is missing where nothing is timed. */
export type Answer =
  | {
      readonly sample?: Sample;
      readonly version?: string;
      readonly node?: { readonly node: string; readonly v8: string };
      readonly weightBytes?: number | undefined;
      readonly logits?: readonly number[];
    }
  | { readonly error: string };
