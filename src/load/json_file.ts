import { ConfigError, FormatError } from '../core/errors.ts';
import type { ByteSource } from '../core/host.ts';
import { JsonScanner, MAX_JSON_DEPTH } from './json_scanner.ts';
import { readAll } from './read_all.ts';
import { decodeUtf8 } from './utf8.ts';

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;

export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

/** The largest vocabularies' tokenizer.json take about 35 MB. */
const MAX_JSON_BYTES = 1 << 26;

/** U+FEFF in UTF-8: some editors put it first, JSON.parse refuses it. */
const BYTE_ORDER_MARK = '\ufeff';

/**
 * Reads a JSON file that must hold an object.
 *
 * Throws CapacityError when it has more than 64 MB, FormatError with the byte at which it stops being JSON (or nests deeper
 * than MAX_JSON_DEPTH), ConfigError when it holds something else.
 */
export async function readJsonObject(source: ByteSource): Promise<JsonObject> {
  const value = await readJson(source);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new ConfigError(
    `${source.name}: holds ${value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value}, expected an object`,
  );
}

/** A JSON file, whatever it holds. Throws CapacityError and FormatError as readJsonObject does. */
export async function readJson(source: ByteSource): Promise<JsonValue> {
  return parseJson(await readAll(source, MAX_JSON_BYTES), source.name);
}

/**
 * JSON.parse is fast and does not say where it failed, at least not the same way everywhere. So it parses, and only when it
 * fails, or the file nests absurdly deep, is the file scanned again for the place.
 */
function parseJson(bytes: Uint8Array, name: string): JsonValue {
  const text = decodeUtf8(bytes);
  if (text !== null && !text.startsWith(BYTE_ORDER_MARK) && nestingDepth(bytes) <= MAX_JSON_DEPTH) {
    try {
      return JSON.parse(text) as JsonValue;
    } catch {
      // The scan below has a better message.
    }
  }
  if (bytes.length === 0) throw new FormatError(`${name}: is empty, 0 bytes; expected JSON, such as {}`, 0);
  const scanner = new JsonScanner(bytes, name);
  scanner.skip('the JSON');
  scanner.end();
  throw new FormatError(`${name}: is not JSON`, 0);
}

/** Brackets open at once. In text that is not JSON the number means nothing, and JSON.parse refuses that text anyway. */
function nestingDepth(bytes: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte === 0x22) inString = !inString;
    else if (byte === 0x5c)
      i++; // a backslash and what it escapes
    else if (!inString && (byte === 0x5b || byte === 0x7b)) deepest = Math.max(deepest, ++depth);
    else if (!inString && (byte === 0x5d || byte === 0x7d)) depth--;
  }
  return deepest;
}
