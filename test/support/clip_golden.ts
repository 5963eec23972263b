import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clip, loadClipFrom } from '../../src/engine/clip.ts';
import type { ClassifierOptions } from '../../src/engine/image_classifier.ts';
import type { RgbImage } from '../../src/vision/image.ts';
import { folderOf } from '../load/sources.ts';
import { HOST } from './executors.ts';
import { ROOT } from './fixtures.ts';

/** What test/golden/clip.py wrote. */
export interface ClipGolden {
  readonly tokens: readonly { readonly text: string; readonly ids: readonly number[] }[];
  readonly cases: readonly ClipCase[];
}

export interface ClipCase {
  /** Of its folder: the activation that the model has. */
  readonly name: string;
  readonly texts: readonly { readonly text: string; readonly vector: readonly number[] }[];
  readonly pictures: readonly {
    readonly seed: number;
    readonly vector: readonly number[];
    readonly logits: readonly number[];
    readonly probs: readonly number[];
  }[];
  /** Every value that was stored of the first text and the first picture, by its name in the graph. */
  readonly first: Readonly<Record<'text' | 'picture', Readonly<Record<string, readonly number[]>>>> | null;
}

const FOLDER = join(ROOT, 'test/goldens/clip');

export const CLIP_GOLDEN = JSON.parse(readFileSync(join(FOLDER, 'golden.json'), 'utf8')) as ClipGolden;

export const QUICK_GELU_FOLDER = join(FOLDER, 'quick_gelu');

/** The side of the golden pictures. */
const SIDE = 12;

/** The pixels that the script drew: the upper 8 bits of a linear congruential generator. */
export function goldenPicture(seed: number): RgbImage {
  let x = seed;
  const pixels = Uint8Array.from({ length: 3 * SIDE * SIDE }, () => {
    x = (Math.imul(1664525, x) + 1013904223) >>> 0;
    return x >>> 24;
  });
  return { width: SIDE, height: SIDE, pixels };
}

/** The files of a case's folder, by name. */
export function clipFiles(name: string): Record<string, Uint8Array> {
  const files = ['config.json', 'preprocessor_config.json', 'tokenizer.json', 'model.safetensors'];
  return Object.fromEntries(files.map((file) => [file, new Uint8Array(readFileSync(join(FOLDER, name, file)))]));
}

export function loadClipFiles(files: Record<string, Uint8Array>, options: ClassifierOptions = {}): Promise<Clip> {
  return loadClipFrom({ kind: 'folder', folder: folderOf(files) }, HOST, options);
}

/** config.json of a golden model. */
export interface ConfigFields {
  [key: string]: unknown;
  text_config: Record<string, unknown>;
  vision_config: Record<string, unknown>;
}

/** A file with some fields of its object changed. */
export function withFields(file: Uint8Array, change: (fields: ConfigFields) => void): Uint8Array {
  const fields = JSON.parse(new TextDecoder().decode(file)) as ConfigFields;
  change(fields);
  return new TextEncoder().encode(JSON.stringify(fields));
}
