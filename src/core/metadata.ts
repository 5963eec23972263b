import { ConfigError } from './errors.ts';

/**
 * The key-value pairs at the head of a weight file, and the only way to read them: by key and expected type.
 *
 * `getX` gives undefined where the key is missing, `needX` throws; both throw ConfigError where the value has another type.
 * Nothing is converted that would lose information, and nothing is filled in.
 */
export type Metadata = ReadonlyMap<string, MetaValue>;

/** The value types of GGUF, in the order of their numbers 0 to 12. */
export const META_TYPES = [
  'u8',
  'i8',
  'u16',
  'i16',
  'u32',
  'i32',
  'f32',
  'bool',
  'string',
  'array',
  'u64',
  'i64',
  'f64',
] as const;

export type MetaType = (typeof META_TYPES)[number];

/**
 * A 64-bit integer is a number where that is exact (up to 2^53 - 1) and a bigint above. A string whose bytes are not UTF-8 is
 * a Uint8Array (a vocabulary piece can be a cut character).
 */
export type MetaScalar = number | bigint | boolean | string | Uint8Array;

/** Element types: everything but arrays. No known key holds arrays of arrays, and without them nothing recurses on input. */
export type MetaElement = Exclude<MetaType, 'array'>;

/** Numbers are in the typed array of their type (64-bit integers in BigInt64Array and BigUint64Array), others in a plain array. */
export interface MetaArray {
  readonly arrayOf: MetaElement;
  readonly values: ArrayLike<MetaScalar>;
}

export type MetaValue = MetaScalar | MetaArray;

/** What a message calls a value's type: "a string", "an array of f32". */
export function showMetaType(value: MetaValue): string {
  if (typeof value === 'string') return 'a string';
  if (typeof value === 'boolean') return 'a bool';
  if (typeof value === 'bigint') return 'an integer above 2^53';
  if (typeof value === 'number') return Number.isInteger(value) ? `the integer ${value}` : `the number ${value}`;
  if (value instanceof Uint8Array) return 'a string that is not UTF-8';
  return `an array of ${value.arrayOf}`;
}

function wrongType(key: string, found: MetaValue, expected: string): ConfigError {
  return new ConfigError(
    `metadata "${key}" is ${showMetaType(found)}, expected ${expected}; convert the model again with a current converter`,
  );
}

function needed<T>(key: string, expected: string, value: T | undefined): T {
  if (value !== undefined) return value;
  throw new ConfigError(
    `metadata "${key}" is missing, expected ${expected}; "inspect" lists what the file has, and a converter must add it`,
  );
}

/** The string at `key`, undefined where there is none. Throws ConfigError for another type, also for bytes that are not UTF-8. */
export function getString(meta: Metadata, key: string): string | undefined {
  const value = meta.get(key);
  if (value === undefined || typeof value === 'string') return value;
  throw wrongType(key, value, 'a string');
}

export function needString(meta: Metadata, key: string): string {
  return needed(key, 'a string', getString(meta, key));
}

/** Any number of any width, also NaN and infinities where a float field has them. Throws ConfigError for another type. */
export function getNumber(meta: Metadata, key: string): number | undefined {
  const value = meta.get(key);
  if (value === undefined || typeof value === 'number') return value;
  throw wrongType(key, value, 'a number');
}

export function needNumber(meta: Metadata, key: string): number {
  return needed(key, 'a number', getNumber(meta, key));
}

/** An integer from 0 to 2^53 - 1: a count, a size, a token id. Throws ConfigError for another type, sign or a fraction. */
export function getCount(meta: Metadata, key: string): number | undefined {
  const value = meta.get(key);
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw wrongType(key, value, 'an integer of at least 0');
}

export function needCount(meta: Metadata, key: string): number {
  return needed(key, 'an integer of at least 0', getCount(meta, key));
}

/** Throws ConfigError for another type: 0 and 1 are numbers, not bools. */
export function getBool(meta: Metadata, key: string): boolean | undefined {
  const value = meta.get(key);
  if (value === undefined || typeof value === 'boolean') return value;
  throw wrongType(key, value, 'a bool');
}

export function needBool(meta: Metadata, key: string): boolean {
  return needed(key, 'a bool', getBool(meta, key));
}

function isMetaArray(value: MetaValue): value is MetaArray {
  return typeof value === 'object' && !(value instanceof Uint8Array);
}

/** An array of strings; elements that are not UTF-8 are bytes. Throws ConfigError for another type. */
export function getStrings(meta: Metadata, key: string): ArrayLike<string | Uint8Array> | undefined {
  const value = meta.get(key);
  if (value === undefined) return undefined;
  // An empty array is an array of strings whatever element type it was written with.
  if (isMetaArray(value) && value.values.length === 0) return [];
  if (isMetaArray(value) && value.arrayOf === 'string') return value.values as ArrayLike<string | Uint8Array>;
  throw wrongType(key, value, 'an array of strings');
}

export function needStrings(meta: Metadata, key: string): ArrayLike<string | Uint8Array> {
  return needed(key, 'an array of strings', getStrings(meta, key));
}

/**
 * An array of numbers of any width; 64-bit integers are converted where all of them are exact.
 * Throws ConfigError for another type, and for an integer beyond 2^53.
 */
export function getNumbers(meta: Metadata, key: string): ArrayLike<number> | undefined {
  const value = meta.get(key);
  if (value === undefined) return undefined;
  if (!isMetaArray(value)) throw wrongType(key, value, 'an array of numbers');
  if (value.values.length === 0) return [];
  switch (value.arrayOf) {
    case 'string':
    case 'bool':
      throw wrongType(key, value, 'an array of numbers');
    case 'u64':
    case 'i64':
      return Float64Array.from(value.values as ArrayLike<number | bigint>, (element, i) => {
        const number = Number(element);
        if (!Number.isSafeInteger(number)) {
          throw new ConfigError(`metadata "${key}"[${i}] is ${element}, expected an integer within 2^53`);
        }
        return number;
      });
    case 'u8':
    case 'i8':
    case 'u16':
    case 'i16':
    case 'u32':
    case 'i32':
    case 'f32':
    case 'f64':
      return value.values as ArrayLike<number>;
    default:
      return value.arrayOf satisfies never;
  }
}

export function needNumbers(meta: Metadata, key: string): ArrayLike<number> {
  return needed(key, 'an array of numbers', getNumbers(meta, key));
}
