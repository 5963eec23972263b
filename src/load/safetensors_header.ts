import type { FormatError } from '../core/errors.ts';
import { showShape } from '../core/shape.ts';
import { JsonScanner } from './json_scanner.ts';
import { quote } from './quote.ts';

/** Bits of one element, by the format's type names. F4 and F6 are packed: such a tensor must fill whole bytes. */
export const SAFETENSORS_BITS: ReadonlyMap<string, number> = new Map([
  ['BOOL', 8],
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['U8', 8],
  ['I8', 8],
  ['F8_E5M2', 8],
  ['F8_E4M3', 8],
  ['F8_E8M0', 8],
  ['F8_E4M3FNUZ', 8],
  ['F8_E5M2FNUZ', 8],
  ['I16', 16],
  ['U16', 16],
  ['F16', 16],
  ['BF16', 16],
  ['I32', 32],
  ['U32', 32],
  ['F32', 32],
  ['C64', 64],
  ['F64', 64],
  ['I64', 64],
  ['U64', 64],
]);

/** Bits of the largest file that can be addressed with exact numbers. */
const MOST_BITS = 8n * BigInt(Number.MAX_SAFE_INTEGER);

export const METADATA_KEY = '__metadata__';

export interface SafetensorsEntry {
  readonly name: string;
  /** As in the file: "F32". */
  readonly type: string;
  readonly shape: readonly number[];
  /** First byte, and the byte after the last, counted from the start of the data. */
  readonly begin: number;
  readonly end: number;
  /** The byte of the entry's data_offsets. */
  readonly offsetsAt: number;
}

export interface SafetensorsHeader {
  readonly metadata: ReadonlyMap<string, string>;
  /** In the header's order. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
}

/**
 * The JSON header of a safetensors file:
 *   {"__metadata__": {string: string}, "<name>": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
 *
 * `headerAt` is where the JSON starts in the file, `dataBytes` how many bytes follow it. Every tensor's bytes must be what
 * its type and shape need, and all tensors together must cover the data without hole or overlap.
 * Throws FormatError. Source: the format's description in huggingface/safetensors.
 */
export function readSafetensorsHeader(
  json: Uint8Array,
  fileName: string,
  headerAt: number,
  dataBytes: number,
): SafetensorsHeader {
  const scanner = new JsonScanner(json, fileName, headerAt);
  // A space before the brace is JSON, but not safetensors: the brace is how files are recognized.
  if (json[0] !== '{'.charCodeAt(0)) throw scanner.error('the header does not begin with "{"', headerAt);
  const metadata = new Map<string, string>();
  const entries = new Map<string, SafetensorsEntry>();
  scanner.object('the header', (key) => {
    if (key === METADATA_KEY) {
      scanner.object(METADATA_KEY, (name) => metadata.set(name, scanner.string(`${METADATA_KEY} ${quote(name)}`)));
    } else {
      entries.set(key, readEntry(scanner, key));
    }
  });
  scanner.end();
  checkCoverage(scanner, [...entries.values()], headerAt + json.length, dataBytes);
  return { metadata, entries };
}

function readEntry(scanner: JsonScanner, name: string): SafetensorsEntry {
  const what = `tensor ${quote(name)}`;
  const entryAt = scanner.position;
  let type: string | undefined;
  let bits = 0;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  let offsetsAt = entryAt;
  scanner.object(what, (field, fieldAt) => {
    switch (field) {
      case 'dtype': {
        const at = scanner.position;
        type = scanner.string(`${what} dtype`);
        bits = SAFETENSORS_BITS.get(type) ?? 0;
        if (bits === 0) throw scanner.error(`${what} dtype is ${quote(type)}, which is no type of safetensors`, at);
        break;
      }
      case 'shape':
        shape = readCounts(scanner, `${what} shape`);
        break;
      case 'data_offsets':
        offsetsAt = scanner.position;
        offsets = readCounts(scanner, `${what} data_offsets`);
        break;
      default:
        throw scanner.error(`${what} has an unknown field ${quote(field)}`, fieldAt);
    }
  });
  if (type === undefined) throw scanner.error(`${what} has no dtype`, entryAt);
  if (shape === undefined) throw scanner.error(`${what} has no shape`, entryAt);
  if (offsets === undefined) throw scanner.error(`${what} has no data_offsets`, entryAt);
  const [begin, end] = offsets;
  if (offsets.length !== 2 || begin === undefined || end === undefined) {
    throw scanner.error(`${what} data_offsets has ${offsets.length} numbers, expected 2`, offsetsAt);
  }
  const needed = neededBytes(shape, bits);
  // Offsets that run backwards are caught as well: no tensor needs a negative number of bytes.
  if (needed !== BigInt(end - begin)) {
    throw scanner.error(
      `${what} data_offsets are ${begin} to ${end}, ${type} ${showShape(shape)} needs ${needed ?? 'half'} bytes`,
      offsetsAt,
    );
  }
  return { name, type, shape, begin, end, offsetsAt };
}

function readCounts(scanner: JsonScanner, what: string): number[] {
  const counts: number[] = [];
  scanner.array(what, (i) => counts.push(scanner.count(`${what}[${i}]`)));
  return counts;
}

/**
 * Bytes of a tensor, exactly; null when a packed type leaves half a byte. A product beyond MOST_BITS is given as it stands:
 * no file has that many, and the product of a header full of axes would take hours.
 */
function neededBytes(shape: readonly number[], bits: number): bigint | null {
  if (shape.includes(0)) return 0n;
  let nBits = BigInt(bits);
  for (const dim of shape) {
    nBits *= BigInt(dim);
    if (nBits > MOST_BITS) return nBits;
  }
  return nBits % 8n === 0n ? nBits / 8n : null;
}

/** Sorted by their bytes, each tensor must begin where the one before ended, from 0 to the last byte of the file. */
function checkCoverage(scanner: JsonScanner, entries: SafetensorsEntry[], dataAt: number, dataBytes: number): void {
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end, offsetsAt } of entries) {
    const fail = (problem: string): FormatError => scanner.error(`tensor ${quote(name)} ${problem}`, offsetsAt);
    if (begin !== covered) throw fail(`begins at ${begin} of the data, expected ${covered}: a hole or an overlap`);
    if (end > dataBytes) throw fail(`ends at ${end} of the data, which has ${dataBytes} bytes; the file is cut short`);
    covered = end;
  }
  if (covered !== dataBytes) {
    throw scanner.error(`${dataBytes - covered} bytes after the last tensor belong to none`, dataAt + covered);
  }
}
