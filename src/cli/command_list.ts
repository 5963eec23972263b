import type { Command } from 'commander';
import type { CommandName } from './command_names.ts';
import type { Io } from './io.ts';

/**
 * Adds a command's arguments, flags, examples and action to an empty command.
 * isImplied: no command was written, so the words are a prompt for `generate`.
 */
export type DefineCommand = (command: Command, io: Io, isImplied: boolean) => void;

export interface CommandEntry {
  readonly summary: string;
  /** Only the command that was asked for is loaded: the first token should not wait for the others. */
  load(): Promise<DefineCommand>;
}

export const COMMANDS: Readonly<Record<CommandName, CommandEntry>> = {
  generate: {
    summary: 'stream text from a prompt (also what words without a command do)',
    load: async () => (await import('./generate.ts')).defineGenerate,
  },
  chat: {
    summary: "a conversation, with the model's own template",
    load: async () => (await import('./chat.ts')).defineChat,
  },
  tokenize: {
    summary: 'text to token ids and pieces, and back',
    load: async () => (await import('./tokenize.ts')).defineTokenize,
  },
  logits: {
    summary: 'the logits of every position of a prompt',
    load: async () => (await import('./logits.ts')).defineLogits,
  },
  classify: {
    summary: 'what pictures show: labels, probabilities and a sentence',
    load: async () => (await import('./classify.ts')).defineClassify,
  },
  embed: {
    summary: 'texts to vectors, with an encoder',
    load: async () => (await import('./embed.ts')).defineEmbed,
  },
  rerank: {
    summary: 'documents in the order of how well they answer a query',
    load: async () => (await import('./rerank.ts')).defineRerank,
  },
  inspect: {
    summary: 'what a model file holds, its graph and its passes',
    load: async () => (await import('./inspect.ts')).defineInspect,
  },
  compare: {
    summary: 'two executors on the same input: the first value that differs',
    load: async () => (await import('./compare.ts')).defineCompare,
  },
  bench: {
    summary: 'tokens a second',
    load: async () => (await import('./bench.ts')).defineBench,
  },
  'make-random': {
    summary: 'a model of random weights, for measuring and trying out',
    load: async () => (await import('./make_random.ts')).defineMakeRandom,
  },
};
