/** An engine in a page: milliseconds of a prompt from nothing, and of single tokens after a prompt. */
export interface PageEngine {
  prefill(nTokens: number): Promise<number>;
  /** Runs what `decode` comes after, where the engine lets it be run apart. */
  prepare(nTokens: number): Promise<void>;
  /** Once after each `prepare`. */
  decode(nTokens: number): Promise<number>;
}

export interface PageOptions {
  readonly engine: 'glassformer' | 'wllama-2' | 'wllama-3' | 'wllama-newest';
  readonly threads: number;
}

/** Where the page finds what it needs. */
export const MODEL = '/model.gguf';
export const MAX_SEQ = 512;

/** Ids of bytes, which are neighbours in a random model's vocabulary. */
const FIRST_BYTE_ID = 3;
const LETTER_A = 0x61;
const N_LETTERS = 26;

/** A text of `n` letters; another `salt`, another text from its start, so that no engine finds it in a cache. */
export function lettersOf(n: number, salt: number): string {
  return Array.from({ length: n }, (_, i) => String.fromCharCode(LETTER_A + ((7 * i + salt) % N_LETTERS))).join('');
}

/** The ids of such a text. */
export function idsOf(text: string): number[] {
  return Array.from(text, (letter) => FIRST_BYTE_ID + letter.charCodeAt(0));
}
