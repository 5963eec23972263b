import { editDistance } from './spelling.ts';

/** Every command, in the order of --help. */
export const COMMAND_NAMES = [
  'generate',
  'chat',
  'tokenize',
  'logits',
  'classify',
  'embed',
  'rerank',
  'inspect',
  'compare',
  'bench',
  'make-random',
] as const;

export type CommandName = (typeof COMMAND_NAMES)[number];

export function isCommand(word: string): word is CommandName {
  return COMMAND_NAMES.some((name) => name === word);
}

/** Names shorter than this are one letter away from common words: "beach", "that", "what". */
const MIN_SLIP_LENGTH = 6;

/** The command that `word` is one letter away from, or undefined. Words that are no command are a prompt, so this is careful. */
export function nearCommand(word: string): CommandName | undefined {
  return COMMAND_NAMES.find((name) => name.length >= MIN_SLIP_LENGTH && editDistance(word, name, 1) === 1);
}
