import type { Command } from 'commander';
import type { Io } from './io.ts';

/**
 * Adds a command's arguments, flags, examples and action to an empty command.
 * isImplied: no command was written, so the words are a prompt for `generate`.
 */
export type DefineCommand = (command: Command, io: Io, isImplied: boolean) => void;

export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** Only the command that was asked for is loaded: the first token should not wait for the others. */
  load(): Promise<DefineCommand>;
}

/** Every command, in the order of --help. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'generate',
    summary: 'stream text from a prompt (also what words without a command do)',
    load: async () => (await import('./generate.ts')).defineGenerate,
  },
  {
    name: 'chat',
    summary: "a conversation, with the model's own template",
    load: async () => (await import('./chat.ts')).defineChat,
  },
  {
    name: 'tokenize',
    summary: 'text to token ids and pieces, and back',
    load: async () => (await import('./tokenize.ts')).defineTokenize,
  },
  {
    name: 'logits',
    summary: 'the logits of every position of a prompt',
    load: async () => (await import('./logits.ts')).defineLogits,
  },
  {
    name: 'inspect',
    summary: 'what a model file holds, its graph and its passes',
    load: async () => (await import('./inspect.ts')).defineInspect,
  },
  {
    name: 'compare',
    summary: 'two executors on the same input: the first value that differs',
    load: async () => (await import('./compare.ts')).defineCompare,
  },
  {
    name: 'bench',
    summary: 'tokens a second',
    load: async () => (await import('./bench.ts')).defineBench,
  },
];

/** Names shorter than this are one letter away from common words: "beach", "that", "what". */
const MIN_SLIP_LENGTH = 6;

/** The command that `word` is one letter away from, or undefined. Words that are no command are a prompt, so this is careful. */
export function nearCommand(word: string): string | undefined {
  const names = COMMANDS.map((entry) => entry.name).filter((name) => name.length >= MIN_SLIP_LENGTH);
  return names.find((name) => editDistance(word, name, 1) === 1);
}

/** Letters to insert, delete or replace to get from a to b (Levenshtein); anything above `most` may be given as most + 1. */
export function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}
