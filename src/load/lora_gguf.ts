import { ConfigError, UnsupportedError } from '../core/errors.ts';
import { getString, needNumber, needString } from '../core/metadata.ts';
import { checkAlpha, type LoraFile, type LoraPart, loraPairs } from './lora.ts';
import type { ModelFile } from './model_file.ts';
import { quote } from './quote.ts';

/** Keys below "adapter." that are understood, or change no number. */
const KNOWN_KEYS: readonly string[] = [
  'adapter.type',
  'adapter.lora.alpha',
  'adapter.lora.task_name',
  'adapter.lora.prompt_prefix',
];

/**
 * A GGUF file that is an adapter: general.type "adapter", adapter.type "lora", adapter.lora.alpha, and for each weight the
 * tensors `<weight>.lora_a` and `<weight>.lora_b`.
 * Throws ConfigError for a file that is none, UnsupportedError for a variant by name, and as loraPairs does.
 */
export function loraOfGguf(file: ModelFile): LoraFile {
  const { name, metadata } = file;
  const type = getString(metadata, 'general.type') ?? 'model';
  if (type !== 'adapter') {
    throw new ConfigError(
      `${name}: general.type is ${quote(type)}, expected "adapter"; give it as --model, or another file`,
    );
  }
  const kind = needString(metadata, 'adapter.type');
  if (kind !== 'lora') throw new UnsupportedError(`${name}: adapter.type is ${quote(kind)}; known is "lora"`);
  const unknown = [...metadata.keys()].find((key) => key.startsWith('adapter.') && !KNOWN_KEYS.includes(key));
  if (unknown !== undefined) {
    throw new UnsupportedError(`${name}: has ${quote(unknown)}, which this engine does not know; it cannot be run`);
  }
  const alpha = needNumber(metadata, 'adapter.lora.alpha');
  checkAlpha(name, 'adapter.lora.alpha', alpha);
  return {
    name,
    format: 'gguf',
    architecture: needString(metadata, 'general.architecture'),
    pairs: loraPairs(name, file.tensors, partOf),
    scaleOf: (rank) => alpha / rank,
  };
}

function partOf(tensor: string): LoraPart | null {
  const [, weight, part] = /^(.+)\.lora_([ab])$/.exec(tensor) ?? [];
  return weight === undefined ? null : { weight, part: part as 'a' | 'b' };
}
