import { ConfigError } from '../core/errors.ts';
import type { Tier } from '../exec/executor.ts';
import type { MemoryNeed } from '../exec/wasm/memory_need.ts';
import type { Graph } from '../graph/ir.ts';
import { checkApproximate } from '../graph/passes/index.ts';
import { CONTIGUOUS, checkKvOptions, type KvOptions } from '../kvcache/options.ts';
import type { OnProgress } from '../load/weights.ts';
import type { Activations, Sums } from '../ops/linear.ts';
import type { ModelSource } from './model_source.ts';

/** How a model is loaded and run. */
export interface LoadOptions {
  /** Which tier computes: 'wasm' (the default), 'naive' (its definition, slow), 'naive64' (the float64 truth, slower). */
  readonly executor?: Tier;
  /** Which kernel build the wasm tier uses: 'auto' (the default) takes the fastest that the host can run. */
  readonly kernels?: 'auto' | 'simd' | 'relaxed';
  /** How activations enter block-format weights: 'q8' (the default: rounded to int8 blocks) or 'f32'. */
  readonly activations?: Activations;
  /**
   * In what products are summed: 'f32' (the default), or 'f64', rounded to f32 once: nearer to the float64 truth, and a few times
   * slower. It needs activations 'f32'.
   */
  readonly sums?: Sums;
  /** Positions that one sequence may have; the default is the model's own context, and at most DEFAULT_MAX_SEQ. */
  readonly maxSeq?: number;
  /**
   * Threads of the wasm tier: 1 (the default), more, or 'auto' for what the machine has. Any count gives the same bits.
   * Where the host cannot share memory between threads one runs, and onNotice says so.
   */
  readonly threads?: number | 'auto';
  /** Tokens per run while a prompt is read. Any value gives the same bits. */
  readonly prefillChunk?: number;
  /** The form of the KV cache; contiguous unless said. All give the same bits unless they drop or round rows. */
  readonly kv?: KvOptions;
  /** Names of graph passes that are left out. */
  readonly disabledPasses?: readonly string[];
  /** Names of the only passes that run; all of them where it is not given. */
  readonly onlyPasses?: readonly string[];
  /** Names of approximate passes that run too, on every tier: they change the numbers within a stated bound. None unless named. */
  readonly approximate?: readonly string[];
  /** Adapters (LoRA) that are added to the model's weights, in this order. */
  readonly lora?: readonly LoraOption[];
  /**
   * false (the default): adapters are computed beside the model's products, whose weights stay as they are. true: they are added to
   * the weights while these are read, which must be f32, f16 or bf16 and become f32.
   */
  readonly loraMerge?: boolean;
  /** Runs this graph, on every tier, and no pass: one that was saved (`graphToJson`) and read back. It must be of this model. */
  readonly graph?: Graph;
  /** Called once, by the wasm tier, before a weight is read: what the model and a sequence of maxSeq positions need. */
  readonly onMemoryNeed?: (need: MemoryNeed) => void;
  readonly onProgress?: OnProgress;
  /** One line for people, about something that runs in another way than was asked for. */
  readonly onNotice?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** An adapter (LoRA): a GGUF file, or a folder that PEFT wrote. */
export interface LoraOption {
  /** Opens it; what it gives is closed with the model. */
  readonly open: () => Promise<ModelSource>;
  /** Times its own scale, alpha / rank; 1 unless given, 0 and negative numbers too. */
  readonly scale?: number;
}

/** A cache longer than this is asked for, not assumed: at 4,096 positions a 1 B model's rows already take 250 MB. */
export const DEFAULT_MAX_SEQ = 4096;

/** Long enough for matrix-matrix kernels to run at speed, short enough for a progress report every moment. */
export const DEFAULT_PREFILL_CHUNK = 128;

/** The naive tiers gain nothing from a long run, and a signal is only noticed after one. */
export const NAIVE_PREFILL_CHUNK = 8;

export interface CheckedLoadOptions {
  readonly executor: Tier;
  readonly kernels: 'auto' | 'simd' | 'relaxed';
  readonly activations: Activations;
  readonly sums: Sums;
  readonly maxSeq: number;
  readonly prefillChunk: number;
  readonly kv: KvOptions;
  readonly disabledPasses: readonly string[];
  readonly onlyPasses: readonly string[] | undefined;
  readonly approximate: readonly string[];
  readonly graph: Graph | undefined;
  readonly onMemoryNeed: ((need: MemoryNeed) => void) | undefined;
  readonly threads: number | 'auto';
  readonly onProgress: OnProgress | undefined;
  readonly onNotice: ((line: string) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Throws ConfigError naming the option, its value and what it may be. maxContext: positions the model was made for. */
export function checkLoadOptions(o: LoadOptions, maxContext: number): CheckedLoadOptions {
  oneOf('executor', o.executor, ['wasm', 'naive', 'naive64']);
  oneOf('kernels', o.kernels, ['auto', 'simd', 'relaxed']);
  oneOf('activations', o.activations, ['q8', 'f32']);
  oneOf('sums', o.sums, ['f32', 'f64']);
  if (o.sums === 'f64' && o.activations !== 'f32') {
    throw new ConfigError(
      `sums is f64 and activations is ${o.activations ?? 'q8'}, whose sums are of integers; use activations f32, or sums f32`,
    );
  }
  checkApproximate(o.approximate ?? []);
  const nChosen = (o.disabledPasses ?? []).length + (o.approximate ?? []).length;
  if (o.graph !== undefined && (o.onlyPasses !== undefined || nChosen > 0)) {
    throw new ConfigError(
      'a graph is given and passes are chosen: a graph from a file runs as it is; leave one of them out',
    );
  }
  const wrong = o.lora?.find(({ scale = 1 }) => !Number.isFinite(scale));
  if (wrong !== undefined) throw new ConfigError(`lora: scale is ${wrong.scale}, must be a number`);
  if (o.loraMerge === true && (o.lora ?? []).length === 0) {
    throw new ConfigError('lora-merge is asked for and no adapter is given; give one with lora');
  }
  const threads = o.threads ?? 1;
  if (threads !== 'auto' && (!Number.isSafeInteger(threads) || threads < 1)) {
    throw new ConfigError(`threads is ${threads}, must be a positive integer or "auto"`);
  }
  const kv = o.kv ?? CONTIGUOUS;
  checkKvOptions(kv);
  const maxSeq = o.maxSeq ?? defaultMaxSeq(kv, maxContext);
  positiveInteger('max-seq', maxSeq);
  if (maxSeq > maxContext) {
    throw new ConfigError(`max-seq is ${maxSeq}, the model was made for ${maxContext} positions; use at most that`);
  }
  const isNaive = o.executor === 'naive' || o.executor === 'naive64';
  const prefillChunk = o.prefillChunk ?? (isNaive ? NAIVE_PREFILL_CHUNK : DEFAULT_PREFILL_CHUNK);
  positiveInteger('prefill-chunk', prefillChunk);
  return {
    kv,
    executor: o.executor ?? 'wasm',
    kernels: o.kernels ?? 'auto',
    activations: o.activations ?? 'q8',
    sums: o.sums ?? 'f32',
    maxSeq,
    prefillChunk,
    disabledPasses: o.disabledPasses ?? [],
    onlyPasses: o.onlyPasses,
    approximate: o.approximate ?? [],
    graph: o.graph,
    onMemoryNeed: o.onMemoryNeed,
    threads,
    onProgress: o.onProgress,
    onNotice: o.onNotice,
    signal: o.signal,
  };
}

/** With a window or a budget the length of a sequence costs no memory: what limits it is the context, whose rope angles the model knows. */
function defaultMaxSeq(kv: KvOptions, maxContext: number): number {
  const isBounded = kv.kind === 'evict' || ('window' in kv && kv.window !== undefined);
  return isBounded ? maxContext : Math.min(maxContext, DEFAULT_MAX_SEQ);
}

/** Beyond this many, threads wait for each other and for memory more than they compute: 'auto' takes no more. */
const AUTO_AT_MOST = 8;

/**
 * How many threads will run. Throws ConfigError when more are asked for than the machine has: each would wait for the others.
 * available: what the machine has; undefined: its host has no threads, any count is as good.
 */
export function threadCount(asked: number | 'auto', available: number | undefined): number {
  if (asked === 'auto') return Math.min(available ?? 1, AUTO_AT_MOST);
  if (available !== undefined && asked > available) {
    throw new ConfigError(`threads is ${asked}, this machine runs ${available} at a time; use at most that, or "auto"`);
  }
  return asked;
}

function oneOf(name: string, value: string | undefined, known: readonly string[]): void {
  if (value !== undefined && !known.includes(value)) {
    throw new ConfigError(`${name} is ${JSON.stringify(value)}, must be one of ${known.join(', ')}`);
  }
}

function positiveInteger(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new ConfigError(`${name} is ${value}, must be a positive integer`);
}
