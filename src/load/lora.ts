import { ConfigError, ShapeError, UnsupportedError } from '../core/errors.ts';
import { showShape } from '../core/shape.ts';
import type { TensorInfo } from './model_file.ts';
import { quote } from './quote.ts';

/** The two thin matrices that are learned for one weight [out, in]: what they add to it is s B A. */
export interface LoraPair {
  /** [rank, in] */
  readonly a: TensorInfo;
  /** [out, rank] */
  readonly b: TensorInfo;
}

/** An adapter (LoRA) as its file says it, of which no matrix has been read yet. */
export interface LoraFile {
  /** For messages. */
  readonly name: string;
  readonly format: 'gguf' | 'safetensors';
  /** general.architecture of the model it was trained on; a folder of PEFT does not say it. */
  readonly architecture: string | undefined;
  /** By the name of the weight, in the words of the format: GGUF's, or Hugging Face's. */
  readonly pairs: ReadonlyMap<string, LoraPair>;
  /** What s B A is multiplied by for a rank: alpha / rank, or (rank-stabilized) alpha / sqrt(rank). */
  scaleOf(rank: number): number;
}

/** Which half of a pair a tensor is, and the weight that it belongs to. */
export interface LoraPart {
  readonly weight: string;
  readonly part: 'a' | 'b';
}

/**
 * The tensors of an adapter, two by two. partOf: a tensor's name -> what it is, null for a name that has no place.
 * Throws UnsupportedError for such a name, ConfigError where a half is missing or there are none, ShapeError for a pair that
 * does not meet.
 */
export function loraPairs(
  file: string,
  tensors: ReadonlyMap<string, TensorInfo>,
  partOf: (name: string) => LoraPart | null,
): Map<string, LoraPair> {
  const halves = new Map<string, { a?: TensorInfo; b?: TensorInfo }>();
  for (const [name, info] of tensors) {
    const found = partOf(name);
    if (found === null) {
      throw new UnsupportedError(
        `${file}: tensor ${quote(name)} is no half of a LoRA pair; this variant of adapter cannot be run`,
      );
    }
    const pair = halves.get(found.weight) ?? {};
    if (pair[found.part] !== undefined) {
      throw new ConfigError(`${file}: has two matrices ${found.part.toUpperCase()} for ${quote(found.weight)}`);
    }
    halves.set(found.weight, { ...pair, [found.part]: info });
  }
  if (halves.size === 0) throw new ConfigError(`${file}: has no tensors, so it changes nothing; it is not complete`);
  const pairs = new Map<string, LoraPair>();
  for (const [weight, { a, b }] of halves) {
    if (a === undefined || b === undefined) {
      throw new ConfigError(
        `${file}: ${quote(weight)} has a matrix ${a === undefined ? 'B' : 'A'} and no ${a === undefined ? 'A' : 'B'}; the file is not complete`,
      );
    }
    checkMeet(file, weight, { a, b });
    pairs.set(weight, { a, b });
  }
  return pairs;
}

/** A has as many rows as B has columns, at least one. */
function checkMeet(file: string, weight: string, { a, b }: LoraPair): void {
  const isPair = a.shape.length === 2 && b.shape.length === 2 && a.shape[0] === b.shape[1] && a.shape[0]! > 0;
  if (isPair) return;
  throw new ShapeError(
    `${file}: ${quote(weight)}: A is ${showShape(a.shape)} and B ${showShape(b.shape)}; expected [rank, in] and [out, rank], with a rank of at least 1`,
  );
}

/** The number of rows of A, which is that of columns of B. */
export function rankOf({ a }: LoraPair): number {
  return a.shape[0]!;
}

/** Throws ShapeError where B A has not the shape of the weight. */
export function checkFits(file: string, weight: string, w: TensorInfo, { a, b }: LoraPair): void {
  if (w.shape.length === 2 && w.shape[0] === b.shape[0] && w.shape[1] === a.shape[1]) return;
  throw new ShapeError(
    `${file}: ${quote(weight)} is ${showShape(w.shape)} in the model, the adapter's B A is ${showShape([b.shape[0]!, a.shape[1]!])}; it was trained on another model`,
  );
}

/** Throws ConfigError for an alpha that says nothing: programs disagree about what 0 means. */
export function checkAlpha(file: string, key: string, alpha: number): void {
  if (Number.isFinite(alpha) && alpha > 0) return;
  throw new ConfigError(`${file}: ${key} is ${alpha}, must be a positive number; convert the adapter again`);
}
