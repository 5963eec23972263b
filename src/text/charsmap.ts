import { ConfigError } from '../core/errors.ts';

/**
 * SentencePiece's table of replacements ("precompiled_charsmap"): keys are short byte strings of UTF-8, in a trie.
 *
 *   u32 nBytes | nBytes of trie, one u32 a node | replacements, each ended by a zero byte      all little-endian
 *
 * A node of the double array: bits 0-7 the byte that leads to it, bit 8 whether a key ends here, bits 10-30 (times 256 where bit 9 is
 * set) the offset of its children: the child by byte c is node (own index ^ offset) ^ c. Where a key ends, child 0 holds the place of its
 * replacement in bits 0-30.
 * Source: Yata, darts-clone 0.32; Kanda 2018, "Space- and Time-Efficient String Dictionaries"; google/sentencepiece normalizer.cc.
 */
export interface Charsmap {
  /** The text with the longest key at each place replaced, from left to right: what SentencePiece does. */
  rewrite(text: string): string;
  /** The replacement of the shortest key that `text` begins with, null where none does. */
  shortest(text: string): string | null;
}

/**
 * NFKC's longest replacement has 33 bytes, its longest key fewer than 32. The limits keep a damaged trie, whose walk may run in a
 * circle, from making the time or the text grow beyond a multiple of the input.
 */
const MAX_KEY = 256;
const MAX_REPLACEMENT = 1024;

const END_OF_KEY = 1 << 8;
const IS_WIDE = 1 << 9;

/**
 * bytes: the whole table; it is read where it lies, nothing is unpacked.
 * Throws ConfigError for lengths that do not fit; so does a text that leads out of the trie or of the replacements.
 */
export function readCharsmap(bytes: Uint8Array): Charsmap {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const nTrieBytes = bytes.length >= 4 ? view.getUint32(0, true) : 0;
  if (nTrieBytes < 4 || nTrieBytes % 4 !== 0 || 4 + nTrieBytes > bytes.length) {
    throw damaged(`of ${bytes.length} bytes says that its trie has ${nTrieBytes}`);
  }
  const nNodes = nTrieBytes / 4;
  const replacementsAt = 4 + nTrieBytes;
  const known = new Map<number, string>(); // by place, at most one entry a replacement

  const node = (index: number): number => {
    if (index < nNodes) return view.getUint32(4 + 4 * index, true);
    throw damaged(`leads to node ${index} of a trie of ${nNodes}`);
  };

  function replacementAt(place: number): string {
    let text = known.get(place);
    if (text !== undefined) return text;
    const from = replacementsAt + place;
    if (from >= bytes.length) throw damaged(`has its replacement at byte ${from}, behind the end (${bytes.length})`);
    const end = bytes.subarray(from, from + MAX_REPLACEMENT).indexOf(0);
    if (end < 0) throw damaged(`has a replacement at byte ${from} that does not end within ${MAX_REPLACEMENT} bytes`);
    text = decoded(bytes.subarray(from, from + end));
    known.set(place, text);
    return text;
  }

  /** Calls back for each key that `text` has at `from`, shortest first, until that says true. */
  function walk(text: Uint8Array, from: number, found: (nBytes: number, place: number) => boolean): void {
    let at = childrenOf(node(0), 0);
    for (let i = from; i < text.length; i++) {
      const byte = text[i]!;
      if (byte === 0) return; // child 0 holds a place
      const unit = node((at ^ byte) >>> 0);
      // As in darts-clone, a unit that holds a place (bit 31) is no child by any byte.
      if (unit >>> 31 !== 0 || (unit & 0xff) !== byte) return;
      if (i - from >= MAX_KEY) throw damaged(`has keys of more than ${MAX_KEY} bytes`);
      at = childrenOf(unit, (at ^ byte) >>> 0);
      if ((unit & END_OF_KEY) !== 0 && found(i - from + 1, node(at) & 0x7fffffff)) return;
    }
  }

  return {
    rewrite(text) {
      const source = new TextEncoder().encode(text);
      const parts: string[] = [];
      let kept = 0; // start of what has not been written yet
      for (let i = 0; i < source.length; ) {
        let nBytes = 0;
        let place = 0;
        walk(source, i, (length, at) => {
          nBytes = length;
          place = at;
          return false;
        });
        if (nBytes === 0) {
          i += lengthOfCharacter(source[i]!);
          continue;
        }
        if (i > kept) parts.push(decoded(source.subarray(kept, i)));
        parts.push(replacementAt(place));
        i += nBytes;
        kept = i;
      }
      if (kept === 0) return text;
      parts.push(decoded(source.subarray(kept)));
      return parts.join('');
    },

    shortest(text) {
      let place = -1;
      walk(new TextEncoder().encode(text), 0, (_, at) => {
        place = at;
        return true;
      });
      return place < 0 ? null : replacementAt(place);
    },
  };
}

/** Where the children of a node are: its own index, XOR the offset in its unit. */
function childrenOf(unit: number, index: number): number {
  const offset = (unit >>> 10) << ((unit & IS_WIDE) === 0 ? 0 : 8);
  return (index ^ offset) >>> 0;
}

/** Of a character, by its first byte of UTF-8; 1 for a byte that begins none. */
function lengthOfCharacter(byte: number): number {
  if (byte < 0xc0) return 1;
  return byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

function decoded(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}

function damaged(what: string): ConfigError {
  return new ConfigError(`tokenizer: precompiled_charsmap ${what}; convert the model again`);
}
