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
 * Sources: llama.cpp src/llama-vocab.cpp, llm_tokenizer_bpe (all); the tokenizer.json of openai-community/gpt2,
 * meta-llama/Meta-Llama-3-8B, Qwen/Qwen2-7B, deepseek-ai/deepseek-llm-7b-base, deepseek-ai/deepseek-coder-6.7b-base,
 * tiiuae/falcon-7b, bigcode/starcoder2, HuggingFaceTB/SmolLM-135M for those names.
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

/** Chinese, Japanese and Korean ranges of the DeepSeek tokenizers. */
const DEEPSEEK_CJK = '[一-龥\\u0800-一가-\\uD7FF]+';

/** The letters of scripts with two cases: DeepSeek LLM's list, as its tokenizer.json spells it. */
const CASED_LETTERS =
  'A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώ' +
  'ᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿ' +
  'ﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃';

/** GPT-2's words after each digit has been set apart. */
const DIGIT_THEN_GPT2: PreTokenizer = { patterns: ['\\p{N}', GPT2] };

export const PRE_TOKENIZERS: Readonly<Record<string, PreTokenizer>> = {
  default: { patterns: ['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2, '\\p{N}+', '[0-9][0-9][0-9]'] },
  'gpt-2': { patterns: [GPT2] },
  'phi-2': { patterns: [GPT2] },
  mpt: { patterns: [GPT2] },
  olmo: { patterns: [GPT2] },
  'llama-bpe': { patterns: [cl100k('\\p{N}{1,3}')], ignoreMerges: true, addBos: true },
  qwen2: { patterns: [cl100k('\\p{N}')] },
  'deepseek-r1-qwen': { patterns: [cl100k('\\p{N}')] },
  stablelm2: { patterns: [cl100k('\\p{N}')] },
  'deepseek-llm': {
    patterns: [
      '[\\r\\n]',
      `\\s?[${CASED_LETTERS}]+`,
      '\\s?[!-/:-~！-／：-～‘-‟\\u3000-。]+',
      // White space at the end. The look-behind changes no match and keeps long runs elsewhere from being tried at every start.
      '(?<!\\s)\\s+$',
      DEEPSEEK_CJK,
      '\\p{N}+',
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
