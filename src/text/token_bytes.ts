import { UnsupportedError } from '../core/errors.ts';
import { byteLevelBytes } from './byte_level.ts';
import { type Json, needObject, needText, optionalArray } from './tokenizer_json.ts';

/** How tokens turn back into text: tokenizer.json's `decoder`, reduced to what one token adds. */
export interface TokenDecoder {
  /** The bytes that a token's text adds to the output. `isAdded`: it is an added token, plain text as it stands. */
  bytesOf(text: string, isAdded: boolean): Uint8Array;
  /** One space at the very start of a text is dropped: the encoder put it there. */
  readonly dropsLeadingSpace: boolean;
}

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2})>$/;

const SPACE = 0x20;

const utf8 = (text: string) => new TextEncoder().encode(text);

/**
 * The decoders that read one token at a time:
 * - ByteLevel: characters are bytes (byte_level.ts).
 * - Metaspace, and sequences of Replace, ByteFallback, Fuse and Strip: "▁" is a space, "<0x0A>" a byte.
 * - WordPiece: "##" joins, anything else starts with a space. No clean-up of spaces before punctuation: it is a guess.
 * - null: tokens joined by spaces.
 * Where pieces at the end of a word end in a suffix (CLIP's "</w>"), it is a space: what transformers makes of it.
 * Throws UnsupportedError for others.
 */
export function makeTokenDecoder(json: Json | null, endOfWord = ''): TokenDecoder {
  const decoder = tokenDecoder(json);
  if (endOfWord === '') return decoder;
  const bytesOf = (text: string, isAdded: boolean): Uint8Array => {
    if (isAdded || !text.endsWith(endOfWord)) return decoder.bytesOf(text, isAdded);
    return Uint8Array.of(...decoder.bytesOf(text.slice(0, -endOfWord.length), false), SPACE);
  };
  return { ...decoder, bytesOf };
}

function tokenDecoder(json: Json | null): TokenDecoder {
  if (json === null) return { bytesOf: (text) => utf8(` ${text}`), dropsLeadingSpace: true };
  const type = needText(json['type'], 'decoder.type');
  switch (type) {
    case 'ByteLevel':
      return { bytesOf: (text, isAdded) => (isAdded ? utf8(text) : byteLevelBytes(text)), dropsLeadingSpace: false };
    case 'WordPiece': {
      const prefix = needText(json['prefix'] ?? '##', 'decoder.prefix');
      return {
        bytesOf: (text) => utf8(text.startsWith(prefix) ? text.slice(prefix.length) : ` ${text}`),
        dropsLeadingSpace: true,
      };
    }
    case 'Metaspace': {
      const mark = needText(json['replacement'] ?? '▁', 'decoder.replacement');
      const never = json['prepend_scheme'] === 'never' || json['add_prefix_space'] === false;
      return { bytesOf: (text) => utf8(text.replaceAll(mark, ' ')), dropsLeadingSpace: !never };
    }
    case 'Sequence':
      return sequenceDecoder(optionalArray(json['decoders'], 'decoder.decoders'));
    case 'Replace':
    case 'ByteFallback':
    case 'Fuse':
    case 'Strip':
      return sequenceDecoder([json]);
    default:
      throw unsupported(type);
  }
}

function sequenceDecoder(steps: readonly unknown[]): TokenDecoder {
  const replacements: (readonly [string, string])[] = [];
  let byteFallback = false;
  let dropsLeadingSpace = false;
  for (const entry of steps) {
    const step = needObject(entry, 'decoder.decoders[]');
    const type = needText(step['type'], 'decoder.decoders[].type');
    switch (type) {
      case 'Replace': {
        const pattern = needObject(step['pattern'], 'decoder.pattern')['String'];
        if (typeof pattern !== 'string') throw unsupported('Replace with a regular expression');
        replacements.push([pattern, needText(step['content'], 'decoder.content')]);
        break;
      }
      case 'ByteFallback':
        byteFallback = true;
        break;
      case 'Fuse':
        break;
      case 'Strip':
        if (step['content'] !== ' ' || step['start'] !== 1 || step['stop'] !== 0)
          throw unsupported('Strip of this kind');
        dropsLeadingSpace = true;
        break;
      case 'ByteLevel':
      case 'WordPiece':
      case 'Metaspace':
        if (steps.length === 1) return tokenDecoder(step);
        throw unsupported(`Sequence with ${type}`);
      default:
        throw unsupported(type);
    }
  }
  return {
    bytesOf(text) {
      const byte = byteFallback ? BYTE_TOKEN.exec(text) : null;
      if (byte !== null) return Uint8Array.of(Number.parseInt(byte[1]!, 16));
      return utf8(replacements.reduce((t, [from, to]) => t.replaceAll(from, () => to), text));
    },
    dropsLeadingSpace,
  };
}

function unsupported(what: string): UnsupportedError {
  return new UnsupportedError(`tokenizer: decoder "${what}" is not one that glassformer has`);
}
