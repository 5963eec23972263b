import { UnsupportedError } from '../core/errors.ts';
import type { Json } from './tokenizer_json.ts';

/**
 * How byte-level BPE vocabularies cut text into words before merging, by the name that GGUF files give under
 * `tokenizer.ggml.pre`. Each entry is a list of regular expressions: the first cuts the text into its matches and what lies
 * between them, the next cuts each of these parts, and so on.
 *
 * Two things are fixed in all of them: `\s` is Unicode's White_Space (JavaScript's own \s has U+FEFF and lacks U+0085), and
 * letters after an apostrophe are spelled out where the original has the flag (?i:...).
 *
 * Source: llama.cpp src/llama-vocab.cpp, llm_tokenizer_bpe and the names in llama_vocab::impl::load.
 */
export interface PreTokenizer {
  readonly patterns: readonly string[];
  /** A word that is a piece is taken whole, also where merging would not reach it (tiktoken's rule, with Llama 3). */
  readonly ignoreMerges?: boolean;
  /** Whether text starts with BOS where the file does not say: llama.cpp's default for this name. */
  readonly addBos?: boolean;
}

/** GPT-2: contractions, then letters, numbers or others with one space before them, then white space. */
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const CONTRACTION = "'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]";

/** The form that tiktoken's cl100k_base has: line breaks are words, any one character may lead letters, numbers by `digits`. */
const cl100k = (digits: string) =>
  `(?:${CONTRACTION})|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

/** What may open a word of letters: upper and title case, and those of scripts without case; and what may end it: lower case, and these. */
const UPPER = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
const LOWER = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';

/** tiktoken's o200k_base: a word ends before a capital, `tail` belongs to it. Source: tiktoken, openai_public.py. */
const o200k = (tail: string, digits: string) =>
  `[^\\r\\n\\p{L}\\p{N}]?${UPPER}*${LOWER}+${tail}|[^\\r\\n\\p{L}\\p{N}]?${UPPER}+${LOWER}*${tail}|${digits}|` +
  ' ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

/** Chinese, Japanese and Korean ranges of the DeepSeek tokenizers. */
const DEEPSEEK_CJK = '[\\u4E00-\\u9FA5\\u0800-\\u4E00\\uAC00-\\uD7FF]+';

/**
 * Letters of scripts with two cases: DeepSeek LLM's list. In escapes, since five of its ends (the ohm and kelvin signs, Greek
 * letters with oxia) turn into other characters whenever a text is normalized on its way.
 */
const CASED_LETTERS =
  'A-Za-z\\u00B5\\u00C0-\\u00D6\\u00D8-\\u00F6\\u00F8-\\u01BA\\u01BC-\\u01BF\\u01C4-\\u0293\\u0295-\\u02AF' +
  '\\u0370-\\u0373\\u0376\\u0377\\u037B-\\u037D\\u037F\\u0386\\u0388-\\u038A\\u038C\\u038E-\\u03A1' +
  '\\u03A3-\\u03F5\\u03F7-\\u0481\\u048A-\\u052F\\u0531-\\u0556\\u10A0-\\u10C5\\u13A0-\\u13F5\\u13F8-\\u13FD' +
  '\\u1C90-\\u1CBA\\u1CBD-\\u1CBF\\u1D00-\\u1D2B\\u1D6B-\\u1D77\\u1D79-\\u1D9A\\u1E00-\\u1F15\\u1F18-\\u1F1D' +
  '\\u1F20-\\u1F45\\u1F48-\\u1F4D\\u1F50-\\u1F57\\u1F59\\u1F5B\\u1F5D\\u1F5F-\\u1F7D\\u1F80-\\u1FB4' +
  '\\u1FB6-\\u1FBC\\u1FBE\\u1FC2-\\u1FC4\\u1FC6-\\u1FCC\\u1FD0-\\u1FD3\\u1FD6-\\u1FDB\\u1FE0-\\u1FEC' +
  '\\u1FF2-\\u1FF4\\u1FF6-\\u1FFC\\u2102\\u2107\\u210A-\\u2113\\u2115\\u2119-\\u211D\\u2124\\u2126\\u2128' +
  '\\u212A-\\u212D\\u212F-\\u2134\\u2139\\u213C-\\u213F\\u2145-\\u2149\\u214E\\u2183\\u2184\\u2C00-\\u2C7B' +
  '\\u2C7E-\\u2CE4\\u2CEB-\\u2CEE\\u2CF2\\u2CF3\\uA640-\\uA66D\\uA680-\\uA69B\\uA722-\\uA76F\\uA771-\\uA787' +
  '\\uA78B-\\uA78E\\uAB70-\\uABBF\\uFB00-\\uFB06\\uFB13-\\uFB17\\uFF21-\\uFF3A\\uFF41-\\uFF5A' +
  '\\u{10400}-\\u{1044F}\\u{104B0}-\\u{104D3}\\u{104D8}-\\u{104FB}\\u{10C80}-\\u{10CB2}\\u{10CC0}-\\u{10CF2}' +
  '\\u{118A0}-\\u{118DF}\\u{1E900}-\\u{1E943}';

/** GPT-2's words after each digit has been set apart. */
const DIGIT_THEN_GPT2: PreTokenizer = { patterns: ['\\p{N}', GPT2] };

export const PRE_TOKENIZERS: Readonly<Record<string, PreTokenizer>> = {
  default: { patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]'] },
  'gpt-2': { patterns: [GPT2] },
  'phi-2': { patterns: [GPT2] },
  mpt: { patterns: [GPT2] },
  olmo: { patterns: [GPT2] },
  'llama-bpe': { patterns: [cl100k('\\p{N}{1,3}')], ignoreMerges: true, addBos: true },
  // OLMo 2 and Phi-4; SmolLM3.
  dbrx: { patterns: [cl100k('\\p{N}{1,3}')] },
  'smaug-bpe': { patterns: [cl100k('\\p{N}{1,3}')] },
  // Phi-4-mini.
  'gpt-4o': { patterns: [o200k(`(?:${CONTRACTION})?`, '\\p{N}{1,3}')] },
  // Mistral's Nemo and later.
  tekken: { patterns: [o200k('', '\\p{N}')], ignoreMerges: true, addBos: true },
  qwen2: { patterns: [cl100k('\\p{N}')] },
  'deepseek-r1-qwen': { patterns: [cl100k('\\p{N}')] },
  stablelm2: { patterns: [cl100k('\\p{N}')] },
  'deepseek-llm': {
    patterns: [
      '[\\r\\n]',
      `\\s?[${CASED_LETTERS}]+`,
      '\\s?[!-/:-~\\uFF01-\\uFF0F\\uFF1A-\\uFF5E\\u2018-\\u201F\\u3000-\\u3002]+',
      // White space at the end. The look-behind changes no match and keeps long runs elsewhere from being tried at every start.
      '(?<!\\s)\\s+$',
      DEEPSEEK_CJK,
      '\\p{N}+',
    ],
  },
  'deepseek-v3': {
    patterns: [
      '\\p{N}{1,3}',
      '[\\u4E00-\\u9FA5\\u3040-\\u309F\\u30A0-\\u30FF]+',
      '[!-/:-@\\[-`{-~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
    ],
  },
  'deepseek-coder': { patterns: ['[\\r\\n]', '\\s?\\p{L}+', '\\s?\\p{P}+', DEEPSEEK_CJK, '\\p{N}'] },
  falcon: { patterns: ['[\\p{P}\\$\\+<=>\\^~\\|`]+', GPT2, '[0-9][0-9][0-9]'] },
  starcoder: DIGIT_THEN_GPT2,
  refact: DIGIT_THEN_GPT2,
  'command-r': DIGIT_THEN_GPT2,
  smollm: DIGIT_THEN_GPT2,
  codeshell: DIGIT_THEN_GPT2,
};

/**
 * The entry of a `tokenizer.ggml.pre` name.
 * Throws UnsupportedError for any other: a wrong cut gives wrong ids without any sign of it, so none is taken in its place.
 */
export function preTokenizer(name: string): PreTokenizer {
  if (Object.hasOwn(PRE_TOKENIZERS, name)) return PRE_TOKENIZERS[name]!;
  throw new UnsupportedError(
    `pre-tokenizer "${name}" (tokenizer.ggml.pre) is not one of ${Object.keys(PRE_TOKENIZERS).join(', ')}; ` +
      "use the model's Hugging Face folder with its tokenizer.json",
  );
}

/** The entry in the form of tokenizer.json's `pre_tokenizer`: the cuts, then bytes as characters of GPT-2's alphabet. */
export function preTokenizerJson(entry: PreTokenizer): Json {
  const splits = entry.patterns.map((Regex) => ({
    type: 'Split',
    pattern: { Regex },
    behavior: 'Isolated',
    invert: false,
  }));
  const bytes = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  return { type: 'Sequence', pretokenizers: [...splits, bytes] };
}
