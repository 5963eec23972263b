import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { ResizeFilter } from './resize.ts';

/** From a picture of any size to the numbers that a model was trained on; null: that step is left out. */
export interface Preprocessor {
  /** `exact`: squashed to that size. `shortest`: the shorter side becomes `edge`, the other one keeps the proportions. */
  readonly resize: { readonly filter: ResizeFilter; readonly size: TargetSize } | null;
  readonly centreCrop: Size | null;
  /** Samples of 0..255 are multiplied by it. */
  readonly rescale: number | null;
  /** Of red, green and blue, after rescaling. */
  readonly normalize: { readonly mean: Rgb; readonly std: Rgb } | null;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

export type TargetSize = ({ readonly kind: 'exact' } & Size) | { readonly kind: 'shortest'; readonly edge: number };

export type Rgb = readonly [number, number, number];

/** The numbers of Pillow's enumeration, which the files store. */
const RESAMPLE: readonly ResizeFilter[] = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'];

/** What a class does where its file is silent (older files leave much out), and what a size of one number means to it. */
interface Family {
  readonly resample: ResizeFilter;
  readonly crops: boolean;
  readonly oneNumber: TargetSize['kind'];
}

const FAMILIES: Readonly<Record<string, Family>> = {
  ViT: { resample: 'bilinear', crops: false, oneNumber: 'exact' },
  DeiT: { resample: 'bicubic', crops: true, oneNumber: 'exact' },
  CLIP: { resample: 'bicubic', crops: true, oneNumber: 'shortest' },
};

/** Endings of a class name: the Pillow one, its older name, and the torchvision one (equal within a grey level). */
const CLASS = /^(ViT|DeiT|CLIP)(ImageProcessor|FeatureExtractor|ImageProcessorFast)$/;

const DEFAULT_RESCALE = 1 / 255;
const MAX_SIDE = 1 << 14;

/** Fields that are read here, and those that change no pixel. */
const READ = [
  'image_processor_type',
  'feature_extractor_type',
  'do_resize',
  'size',
  'resample',
  'do_center_crop',
  'crop_size',
  'do_rescale',
  'rescale_factor',
  'do_normalize',
  'image_mean',
  'image_std',
];
const HARMLESS = ['do_convert_rgb', 'processor_class', '_processor_class', '_valid_processor_keys', 'return_tensors'];

type Fields = Readonly<Record<string, unknown>>;

/**
 * Reads preprocessor_config.json as Hugging Face's classes for ViT, DeiT and CLIP do.
 *
 * Throws UnsupportedError for another class, or a field that asks for something else (by name); ConfigError when a needed
 * field is missing or has no sense.
 */
export function parsePreprocessor(fields: Fields, name: string): Preprocessor {
  const type = fields['image_processor_type'] ?? fields['feature_extractor_type'];
  if (type === undefined) throw new ConfigError(`${name}: has no image_processor_type, so its defaults are not known`);
  const family = FAMILIES[CLASS.exec(String(type))?.[1] ?? ''];
  if (family === undefined) {
    throw new UnsupportedError(
      `${name}: image_processor_type "${type}" is not supported; known are those of ViT, DeiT and CLIP`,
    );
  }
  for (const [field, value] of Object.entries(fields)) {
    const asksNothing = value === null || value === false || READ.includes(field) || HARMLESS.includes(field);
    if (!asksNothing)
      throw new UnsupportedError(`${name}: field "${field}" (${JSON.stringify(value)}) is not supported`);
  }
  const flag = (field: string, byDefault: boolean): boolean => {
    const value = fields[field] ?? byDefault;
    if (typeof value !== 'boolean')
      throw new ConfigError(`${name}: ${field} is ${JSON.stringify(value)}, expected true or false`);
    return value;
  };
  return {
    resize: flag('do_resize', true)
      ? { filter: readFilter(fields, family, name), size: readSize(fields, 'size', family.oneNumber, name) }
      : null,
    centreCrop: flag('do_center_crop', family.crops) ? readCrop(fields, name) : null,
    rescale: flag('do_rescale', true)
      ? positive(fields['rescale_factor'] ?? DEFAULT_RESCALE, `${name}: rescale_factor`)
      : null,
    normalize: flag('do_normalize', true)
      ? {
          mean: readRgb(fields, 'image_mean', name, finite),
          // Division by it must give a number.
          std: readRgb(fields, 'image_std', name, positive),
        }
      : null,
  };
}

function readFilter(fields: Fields, family: Family, name: string): ResizeFilter {
  const number = fields['resample'];
  if (number === undefined) return family.resample;
  const filter = typeof number === 'number' ? RESAMPLE[number] : undefined;
  if (filter === undefined)
    throw new UnsupportedError(`${name}: resample ${JSON.stringify(number)} is none of Pillow's 0 to 5`);
  return filter;
}

function readSize(fields: Fields, field: string, oneNumber: TargetSize['kind'], name: string): TargetSize {
  const value = fields[field];
  if (value === undefined) throw new ConfigError(`${name}: has no ${field}`);
  if (typeof value === 'number') {
    const edge = side(value, `${name}: ${field}`);
    return oneNumber === 'exact' ? { kind: 'exact', width: edge, height: edge } : { kind: 'shortest', edge };
  }
  const { height, width, shortest_edge: edge, ...others } = (value ?? {}) as Fields;
  const [other] = Object.keys(others);
  if (other !== undefined) throw new UnsupportedError(`${name}: ${field}.${other} is not supported`);
  if (edge !== undefined) {
    if (width !== undefined || height !== undefined) {
      throw new ConfigError(`${name}: ${field} has a shortest_edge and a width or height; one of them is too much`);
    }
    return { kind: 'shortest', edge: side(edge, `${name}: ${field}.shortest_edge`) };
  }
  return {
    kind: 'exact',
    width: side(width, `${name}: ${field}.width`),
    height: side(height, `${name}: ${field}.height`),
  };
}

function readCrop(fields: Fields, name: string): Size {
  const size = readSize(fields, 'crop_size', 'exact', name);
  if (size.kind === 'exact') return { width: size.width, height: size.height };
  throw new UnsupportedError(`${name}: crop_size.shortest_edge is not supported, expected height and width`);
}

function readRgb(fields: Fields, field: string, name: string, check: (value: unknown, what: string) => number): Rgb {
  const value = fields[field];
  if (!Array.isArray(value) || value.length !== 3) {
    throw new ConfigError(`${name}: ${field} is ${JSON.stringify(value)}, expected three numbers`);
  }
  return [0, 1, 2].map((i) => check(value[i], `${name}: ${field}[${i}]`)) as unknown as Rgb;
}

function side(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_SIDE) return value;
  throw new ConfigError(`${what} is ${JSON.stringify(value)}, expected an integer from 1 to ${MAX_SIDE}`);
}

function finite(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new ConfigError(`${what} is ${JSON.stringify(value)}, expected a number`);
}

function positive(value: unknown, what: string): number {
  if (finite(value, what) > 0) return value as number;
  throw new ConfigError(`${what} is ${JSON.stringify(value)}, expected a positive number`);
}
