import { readFile } from 'node:fs/promises';
import { CapacityError } from '../core/errors.ts';
import type { Model } from '../engine/model.ts';
import { systemError } from '../platform/node_file.ts';
import type { Io } from './io.ts';
import { usageError } from './usage.ts';

/** The ways to say what a run starts from; at most one of them. */
export interface PromptFlags {
  readonly words: readonly string[];
  /** A path, or "-" for standard input. */
  readonly file?: string;
  readonly ids?: readonly number[];
  /** The text alone, without the tokens that the model puts around it. */
  readonly raw?: boolean;
}

export type PromptInput = { readonly text: string; readonly raw: boolean } | { readonly ids: readonly number[] };

/**
 * Reads the prompt. No words, no file and no ids are the empty text: the model starts from its start token.
 * Throws a usage error when it is said twice, or when exact text is asked for and there is none.
 */
export async function readPrompt(io: Io, { words, file, ids, raw = false }: PromptFlags): Promise<PromptInput> {
  const given = [words.length > 0 && 'words', file !== undefined && '--file', ids !== undefined && '--ids'];
  const ways = given.filter((way) => way !== false);
  if (ways.length > 1) throw usageError(`the prompt is given by ${ways.join(' and by ')}; give it once`);
  if (ids !== undefined) {
    if (raw) throw usageError('--raw is about text, and --ids gives exact ids already; leave --raw out');
    return { ids };
  }
  const text = file === undefined ? words.join(' ') : await readText(io, file);
  if (raw && text === '') throw usageError('--raw leaves the start token out, so it needs a text');
  return { text, raw };
}

/**
 * The prompt's token ids.
 * Throws ConfigError when there are none (an empty text, and a model without a start token), CapacityError when they do not
 * fit the context: both before anything is computed.
 */
export function promptIds(model: Model, input: PromptInput): number[] {
  const ids = 'ids' in input ? model.promptIds(input) : model.promptIds(input.text, { addSpecial: !input.raw });
  const { maxSeq, maxContext } = model.info;
  if (ids.length > maxSeq) {
    const advice = maxSeq < maxContext ? `raise --max-seq (at most ${maxContext}) or shorten it` : 'shorten it';
    throw new CapacityError(
      `the prompt has ${ids.length} tokens, the context has room for maxSeq=${maxSeq}; ${advice}`,
    );
  }
  return ids;
}

/**
 * A text file, or standard input for "-". Bytes that are no UTF-8 are refused: a model would be given U+FFFD in their place.
 * Throws a usage error then, and what reading throws.
 */
export async function readText(io: Io, file: string): Promise<string> {
  const bytes = file === '-' ? await io.readStdin() : await readPath(file);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw usageError(`${file === '-' ? 'standard input' : file}: is not UTF-8 text; convert it first`);
  }
}

async function readPath(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (e) {
    throw systemError(`--file ${file}`, e);
  }
}
