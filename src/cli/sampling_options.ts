import type { Command } from 'commander';
import { DEFAULT_SAMPLING, type SamplingOptions, validateSampling } from '../sample/options.ts';
import { collectLogitBias, collectStop, parseCount, parseNumber, parsePositive, parseSeed } from './arguments.ts';
import { checkUsage } from './usage.ts';

/** Flags that choose tokens: the same for `generate` and `chat`. */
export interface SamplingFlags {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly typicalP: number;
  readonly repeatPenalty: number;
  readonly repeatLastN: number;
  readonly frequencyPenalty: number;
  readonly presencePenalty: number;
  readonly logitBias?: ReadonlyMap<number, number>;
  readonly seed?: number | bigint;
  readonly maxTokens?: number;
  readonly stop?: readonly string[];
}

/** maxTokensDefault: what the command does without --max-tokens, for its help. */
export function addSamplingOptions(command: Command, maxTokensDefault: string): Command {
  const d = DEFAULT_SAMPLING;
  return command
    .option('-n, --max-tokens <n>', `most tokens to generate (default: ${maxTokensDefault})`, parsePositive)
    .option('-t, --temperature <t>', '0 always takes the likeliest token', parseNumber, d.temperature)
    .option('--top-k <k>', 'only the k likeliest tokens; 0 turns it off', parseNumber, d.topK)
    .option('--top-p <p>', 'only the likeliest tokens whose probabilities reach p; 1 turns it off', parseNumber, d.topP)
    .option('--min-p <p>', 'only tokens at least p times as probable as the likeliest; 0: off', parseNumber, d.minP)
    .option('--typical-p <p>', 'only tokens of typical surprise, up to mass p; 1 turns it off', parseNumber, d.typicalP)
    .option('--repeat-penalty <x>', 'divides the logits of seen tokens; 1: off', parseNumber, d.repeatPenalty)
    .option('--repeat-last-n <n>', 'how many of the last tokens the penalties look at', parseCount, d.repeatLastN)
    .option('--frequency-penalty <x>', 'taken off a logit for each time it was seen', parseNumber, d.frequencyPenalty)
    .option('--presence-penalty <x>', 'taken off a logit once it was seen', parseNumber, d.presencePenalty)
    .option('--logit-bias <id=value>', 'added to the logit of a token; -inf bans it (repeatable)', collectLogitBias)
    .option('--seed <n>', 'same seed, same text (default: a new one each time, told in the figures)', parseSeed)
    .option('--stop <text>', 'end before this text (repeatable)', collectStop);
}

/** The flags as the engine's options, with a seed in any case. Throws a usage error for a value out of its range. */
export function samplingOf(flags: SamplingFlags): SamplingOptions {
  const sampling: SamplingOptions = {
    temperature: flags.temperature,
    topK: flags.topK,
    topP: flags.topP,
    minP: flags.minP,
    typicalP: flags.typicalP,
    repeatPenalty: flags.repeatPenalty,
    repeatLastN: flags.repeatLastN,
    frequencyPenalty: flags.frequencyPenalty,
    presencePenalty: flags.presencePenalty,
    logitBias: flags.logitBias ?? DEFAULT_SAMPLING.logitBias,
    seed: flags.seed ?? freshSeed(),
  };
  checkUsage(() => validateSampling(sampling));
  return sampling;
}

/** Short enough to be typed again. */
function freshSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}
