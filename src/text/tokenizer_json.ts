import { CapacityError, ConfigError } from '../core/errors.ts';

/** A part of tokenizer.json: an object whose fields nobody has checked yet. */
export type Json = Readonly<Record<string, unknown>>;

/** A token that is cut out of the text before the model of the vocabulary sees it. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Control token: parsed only on demand, adds nothing to the output. Others are plain text that always stays in one piece. */
  readonly special: boolean;
  /** Found in the normalized text (as its own normalized form), not in the text as given. */
  readonly normalized: boolean;
  /** Takes the white space to its left (right) with it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Found only where no letter, digit or underscore touches it. */
  readonly singleWord: boolean;
}

/** tokenizer.json after its frame has been checked; the five steps are checked by whoever builds them. */
export interface TokenizerJson {
  readonly addedTokens: readonly AddedToken[];
  readonly normalizer: Json | null;
  readonly preTokenizer: Json | null;
  readonly postProcessor: Json | null;
  readonly decoder: Json | null;
  readonly model: Json;
}

/** The two files of a Hugging Face folder that describe a tokenizer, as JSON.parse gives them. */
export interface TokenizerFiles {
  readonly tokenizerJson: object;
  readonly tokenizerConfig?: object | undefined;
}

/** Largest known vocabularies have 2^18 tokens. The limit keeps sparse ids in a hostile file from becoming an allocation. */
export const MAX_VOCAB = 2 ** 22;

/** Checks the frame of tokenizer.json. Throws ConfigError naming the field, CapacityError for ids of 2^22 and above. */
export function readTokenizerJson(json: object): TokenizerJson {
  const root = needObject(json, 'tokenizer.json');
  const addedTokens = optionalArray(root['added_tokens'], 'added_tokens').map((entry, i) => {
    const what = `added_tokens[${i}]`;
    const token = needObject(entry, what);
    const special = token['special'] === true;
    return {
      id: needId(token['id'], `${what}.id`),
      content: needText(token['content'], `${what}.content`),
      special,
      normalized: typeof token['normalized'] === 'boolean' ? token['normalized'] : !special,
      lstrip: token['lstrip'] === true,
      rstrip: token['rstrip'] === true,
      singleWord: token['single_word'] === true,
    };
  });
  return {
    addedTokens,
    normalizer: optionalObject(root['normalizer'], 'normalizer'),
    preTokenizer: optionalObject(root['pre_tokenizer'], 'pre_tokenizer'),
    postProcessor: optionalObject(root['post_processor'], 'post_processor'),
    decoder: optionalObject(root['decoder'], 'decoder'),
    model: needObject(root['model'], 'model'),
  };
}

export function needObject(value: unknown, what: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw wrong(what, value, 'an object');
}

export function optionalObject(value: unknown, what: string): Json | null {
  return value === undefined || value === null ? null : needObject(value, what);
}

export function optionalArray(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw wrong(what, value, 'an array');
}

export function needText(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw wrong(what, value, 'a string');
}

/** True for what `needId` takes: asked first where a message would have to be made for each of 100,000 ids. */
export function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < MAX_VOCAB;
}

/** A token id. Throws ConfigError for anything but an integer of at least 0, CapacityError from 2^22 on. */
export function needId(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw wrong(what, value, 'a token id');
  if (value >= MAX_VOCAB) throw new CapacityError(`tokenizer: ${what} is ${value}, ids must be below ${MAX_VOCAB}`);
  return value;
}

function wrong(what: string, value: unknown, expected: string): ConfigError {
  const found = value === undefined ? 'missing' : Array.isArray(value) ? 'an array' : describe(value);
  return new ConfigError(
    `tokenizer: ${what} is ${found}, expected ${expected}; fetch tokenizer.json again or convert the model again`,
  );
}

function describe(value: unknown): string {
  return typeof value === 'object' && value !== null ? 'an object' : String(JSON.stringify(value)).slice(0, 60);
}
