import { InvalidArgumentError } from 'commander';

/**
 * Parsers of single values for commander. Each throws InvalidArgumentError, which becomes exit code 2 and
 * "error: option '--seed <n>' argument 'x' is invalid. <message>". Ranges that the engine knows are checked by the engine.
 */

/** A number in plain or exponent form; "0x10", "", "1 " and "Infinity" are not. */
export function parseNumber(text: string): number {
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text)) throw new InvalidArgumentError('It must be a number.');
  return Number(text);
}

/** Digits, at most 2^53 - 1. */
export function parseCount(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  const n = Number(text);
  if (!Number.isSafeInteger(n)) throw new InvalidArgumentError('It must be at most 2^53 - 1.');
  return n;
}

/** As parseCount, from 1. */
export function parsePositive(text: string): number {
  const n = parseCount(text);
  if (n === 0) throw new InvalidArgumentError('It must be at least 1.');
  return n;
}

/** A number, which the engine checks, or "auto". */
export function parseThreads(text: string): number | 'auto' {
  if (text === 'auto') return text;
  try {
    return parseNumber(text);
  } catch {
    throw new InvalidArgumentError('It must be a whole number or "auto".');
  }
}

/** As parseCount, up to the engine's 2^64 - 1: a bigint where a number would not be exact. */
export function parseSeed(text: string): number | bigint {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('It must be a whole number.');
  return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
}

/** Ids are i32 in the engine: a larger one would wrap round to another token. */
const MAX_ID = 2 ** 31 - 1;

function parseId(text: string): number {
  const id = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(id <= MAX_ID)) throw new InvalidArgumentError(`"${text}" is not a token id from 0 to ${MAX_ID}.`);
  return id;
}

/** "1,2,3", with or without spaces. */
export function parseIds(text: string): number[] {
  return text.split(',').map((id) => parseId(id.trim()));
}

/** "ID=VALUE", once for each id; "-inf" bans a token. Collects over repeated options. */
export function collectLogitBias(text: string, previous: ReadonlyMap<number, number> = new Map()): Map<number, number> {
  const [, id, value] = /^\s*(\d+)\s*=\s*(\S+)\s*$/.exec(text) ?? [];
  if (id === undefined || value === undefined) {
    throw new InvalidArgumentError('It must be ID=VALUE, for example 42=-1.5, or 42=-inf to ban the token.');
  }
  const bias = value === '-inf' ? -Infinity : parseNumber(value);
  return new Map(previous).set(parseId(id), bias);
}

/** A stop string, for an option that may be given more than once. */
export function collectStop(text: string, previous: readonly string[] = []): string[] {
  if (text === '') throw new InvalidArgumentError('It must have at least one character.');
  return [...previous, text];
}

/** "a,b": at least one name, none empty. */
export function parseNames(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('It must be names with commas between them.');
  return names;
}

/** Names, for an option that may be given more than once. */
export function collect(text: string, previous: readonly string[] = []): string[] {
  return [...previous, text];
}

/** "NAME=VALUE", once for each name: the value as JSON, or else as the text that it is. */
export function collectVariable(
  text: string,
  previous: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) {
    throw new InvalidArgumentError('It must be NAME=VALUE, for example enable_thinking=false.');
  }
  try {
    return { ...previous, [name]: JSON.parse(value) as unknown };
  } catch {
    return { ...previous, [name]: value };
  }
}

/** "FILE" or "FILE:SCALE", once for each adapter. What stands behind the last colon is a scale where it is a number. */
export function collectLora(
  text: string,
  previous: readonly { readonly path: string; readonly scale: number }[] = [],
): { readonly path: string; readonly scale: number }[] {
  const [, path, scale] = /^(.+):([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)$/.exec(text) ?? [undefined, text, '1'];
  if (path === '') throw new InvalidArgumentError('It must be a file, or FILE:SCALE.');
  return [...previous, { path: path!, scale: parseNumber(scale!) }];
}
