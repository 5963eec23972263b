import { SequenceNormalizer, SequencePreTokenizer } from '@huggingface/tokenizers';
import { UnsupportedError } from '../core/errors.ts';
import { precompiledNormalizer, sentencePieceNormalizer } from './sentencepiece.ts';
import { type Json, needObject, needText, optionalArray } from './tokenizer_json.ts';
import { bertNormalize, bertNormalizerOptions, bertWords, lowercaseEach } from './wordpiece.ts';

/**
 * The steps of tokenizer.json that @huggingface/tokenizers runs for us, with its deviations from the Rust original
 * (version 0.2.0) put right here: each `case` below says what and why.
 */

export type Normalizer = (text: string) => string;

/** `isTextStart`: the section is the first of its text ("prepend_scheme": "first" asks). */
export type WordCutter = (section: string, isTextStart: boolean) => string[];

/** Throws UnsupportedError for an unknown step, ConfigError for a malformed one. */
export function makeNormalizer(json: Json | null): Normalizer {
  if (json === null) return (text) => text;
  const type = needText(json['type'], 'normalizer.type');
  switch (type) {
    case 'Sequence': {
      const steps = optionalArray(json['normalizers'], 'normalizer.normalizers').map((step) =>
        makeNormalizer(needObject(step, 'normalizer.normalizers[]')),
      );
      return (text) => steps.reduce((t, step) => step(t), text);
    }
    // The library tests UTF-16 units where it means code points (CJK beyond U+FFFF), and its test for control characters binds
    // "^" and "$" to the first and last alternative only.
    case 'BertNormalizer': {
      const options = bertNormalizerOptions(json);
      return (text) => bertNormalize(text, options);
    }
    // The library lower-cases the whole text, which writes a final sigma.
    case 'Lowercase':
      return lowercaseEach;
    // The library hands `content` to replaceAll, where "$&" and the like have a meaning.
    case 'Replace': {
      const content = String(json['content'] ?? '').replaceAll('$', '$$$$');
      return fromLibrary({ ...json, content });
    }
    // An empty text stays empty (the library would make it a lone prefix).
    case 'Prepend': {
      const prefix = needText(json['prepend'], 'normalizer.prepend');
      return (text) => (text === '' ? '' : prefix + text);
    }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD':
    case 'StripAccents':
      return fromLibrary(json);
    // White space is White_Space, where the library takes what String.prototype.trim does.
    case 'Strip':
      return stripWhiteSpace(json['strip_left'] === true, json['strip_right'] === true);
    // The library does not read the table: it has NFKC in its place.
    case 'Precompiled':
      return precompiledNormalizer(json);
    // gguf_vocab.ts writes it.
    case 'SentencePiece':
      return sentencePieceNormalizer(json);
    default:
      throw new UnsupportedError(`tokenizer: normalizer "${type}" is not one that glassformer has`);
  }
}

function stripWhiteSpace(left: boolean, right: boolean): Normalizer {
  const isSpace = (char: string): boolean => /\p{White_Space}/u.test(char);
  return (text) => {
    let [from, to] = [0, text.length];
    if (left) while (from < to && isSpace(text[from]!)) from++;
    if (right) while (to > from && isSpace(text[to - 1]!)) to--;
    return text.slice(from, to);
  };
}

function fromLibrary(step: Json): Normalizer {
  const normalizer = building(`normalizer ${step['type']}`, () => {
    return new SequenceNormalizer({ type: 'Sequence', normalizers: [step] });
  });
  return (text) => normalizer.normalize(text);
}

/** Throws UnsupportedError for an unknown step or behaviour, ConfigError for a malformed one. */
export function makeWordCutter(json: Json | null): WordCutter {
  if (json === null) return (text) => [text];
  const steps = cutterSteps(json);
  // BERT's words are our own code, everything else is one library sequence.
  if (steps.length === 1 && steps[0]!['type'] === 'BertPreTokenizer') return bertWords;
  if (steps.some((step) => step['type'] === 'BertPreTokenizer')) {
    throw new UnsupportedError('tokenizer: BertPreTokenizer together with other pre-tokenizers');
  }
  const cutter = building('pre_tokenizer', () => {
    return new SequencePreTokenizer({ type: 'Sequence', pretokenizers: steps });
  });
  return (text, isTextStart) => cutter.pre_tokenize_text(text, { section_index: isTextStart ? 0 : 1 });
}

const split = (Regex: string): Json => ({ type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false });

/** GPT-2's pattern: with White_Space for \s, which the library's own copy inside ByteLevel does not have. */
const GPT2_SPLIT = split("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+");

/** One step of the file as the steps that make the library do what the original does. */
function cutterSteps(json: Json): Json[] {
  const type = needText(json['type'], 'pre_tokenizer.type');
  switch (type) {
    case 'Sequence':
      return optionalArray(json['pretokenizers'], 'pre_tokenizer.pretokenizers').flatMap((step) =>
        cutterSteps(needObject(step, 'pre_tokenizer.pretokenizers[]')),
      );
    case 'ByteLevel': {
      const bytes = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
      const prefix = { type: 'Replace', pattern: { Regex: '\\A(?=[^ ])' }, content: ' ' };
      return [
        ...(json['add_prefix_space'] === true ? [prefix] : []),
        ...(json['use_regex'] !== false ? [GPT2_SPLIT] : []),
        bytes,
      ];
    }
    // Digits are Unicode's numbers in the original, ASCII's in the library.
    case 'Digits':
      return [split(json['individual_digits'] === true ? '\\p{N}' : '\\p{N}+')];
    // The library joins neighbouring punctuation, whatever the behaviour.
    case 'Punctuation':
      return [splitStep({ ...json, pattern: { Regex: '[\\p{P}!-/:-@\\[-`{-~]' } })];
    case 'Split':
      return [splitStep(json)];
    // The library never cuts at the marks; the original does unless told not to.
    case 'Metaspace': {
      const mark = typeof json['replacement'] === 'string' ? json['replacement'] : '▁';
      const scheme = json['prepend_scheme'] ?? (json['add_prefix_space'] === false ? 'never' : 'always');
      const marks = { type: 'Metaspace', replacement: mark, prepend_scheme: scheme };
      const cut = { pattern: { String: mark }, behavior: 'MergedWithNext' };
      return json['split'] === false ? [marks] : [marks, splitStep(cut)];
    }
    // White space is White_Space, where the library's expression has JavaScript's \s.
    case 'WhitespaceSplit':
      return [{ type: 'Split', pattern: { Regex: '\\p{White_Space}+' }, behavior: 'Removed' }];
    case 'BertPreTokenizer':
    case 'Whitespace':
      return [json];
    default:
      throw new UnsupportedError(`tokenizer: pre-tokenizer "${type}" is not one that glassformer has`);
  }
}

/**
 * The library knows two behaviours, Removed and (for all other names) Isolated; it also loses the text between matches when
 * `invert` is set. Merging behaviours are rewritten as an Isolated pattern where the pattern is one character.
 */
function splitStep(json: Json): Json {
  const pattern = needObject(json['pattern'], 'pre_tokenizer.pattern');
  // As in pre_tokenizers.ts: the same matches, without trying a long run of blanks again from each of its blanks.
  if (pattern['Regex'] === '\\s+$') return splitStep({ ...json, pattern: { Regex: '(?<!\\s)\\s+$' } });
  const behavior = json['behavior'] ?? 'Isolated';
  const inverted = json['invert'] === true;
  if (behavior === 'Isolated') return { ...json, type: 'Split', behavior, invert: false };
  const mark = pattern['String'];
  if (behavior === 'Removed') {
    // Matches come back when the expression captures them: the library captures a String pattern if `invert` is false, not if
    // it is missing; groups of a Regex are the file's own.
    const captures = !inverted && /(?<!\\)\((?!\?)/.test(String(pattern['Regex'] ?? ''));
    if (!captures) return { ...json, type: 'Split', behavior, invert: inverted || undefined };
  }
  if (typeof mark === 'string' && [...mark].length === 1 && !inverted) {
    const c = `\\u{${mark.codePointAt(0)!.toString(16)}}`;
    if (behavior === 'MergedWithPrevious') return split(`[^${c}]*[${c}]|[^${c}]+`);
    if (behavior === 'MergedWithNext') return split(`[${c}][^${c}]*|[^${c}]+`);
    if (behavior === 'Contiguous') return split(`[${c}]+`);
  }
  throw new UnsupportedError(
    `tokenizer: pre-tokenizer Split with behavior "${behavior}"${inverted ? ', inverted,' : ''} on ${JSON.stringify(pattern)}`,
  );
}

/** The library throws plain errors for what it cannot build (a regular expression, a missing field). */
function building<T>(what: string, build: () => T): T {
  try {
    return build();
  } catch (error) {
    throw new UnsupportedError(`tokenizer: ${what} cannot be built: ${(error as Error).message}`);
  }
}
