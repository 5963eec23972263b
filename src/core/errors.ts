/**
 * The six errors that a caller can meet. Each message names the thing, both values and the next step:
 *   "kv cache: position 2048 does not fit maxSeq=2048; raise --max-seq or shorten the prompt"
 *
 * Bad input throws one of these. A broken promise of our own code is not an input error: it goes through `assert`.
 */

/** A tensor, weight or id list does not have the shape that an op or a model needs. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** A file is not what its format says. `offset` is the byte at which the first wrong field starts. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(`${message} (at byte ${offset})`);
    this.offset = offset;
  }
}

/** The input is well formed and asks for something that Glassformer does not have. */
export class UnsupportedError extends Error {
  override readonly name = 'UnsupportedError';
}

/** Something finite (memory, context, an address space, an output cap) is too small for what was asked. */
export class CapacityError extends Error {
  override readonly name = 'CapacityError';
}

/** A setting is out of its range, or two settings contradict each other. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** A kernel module cannot be loaded, does not match its table, or a computation left the finite numbers. */
export class KernelError extends Error {
  override readonly name = 'KernelError';
}

export type GlassformerError = ShapeError | FormatError | UnsupportedError | CapacityError | ConfigError | KernelError;

/** True for the six errors above: what a door may show to its user as a message, without a stack. */
export function isGlassformerError(e: unknown): e is GlassformerError {
  return (
    e instanceof ShapeError ||
    e instanceof FormatError ||
    e instanceof UnsupportedError ||
    e instanceof CapacityError ||
    e instanceof ConfigError ||
    e instanceof KernelError
  );
}

/** A promise of our own code. A failure is a bug in Glassformer, never the fault of an input. */
export function assert(condition: boolean, promise: string): asserts condition {
  if (!condition) throw new Error(`broken promise: ${promise} (this is a bug in glassformer, please report it)`);
}
