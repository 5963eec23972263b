import type { Command } from 'commander';
import { DEFAULT_LENGTH_PENALTY } from '../engine/generate_beams.ts';
import { checkBeams } from '../sample/beams.ts';
import { parseNumber, parsePositive } from './arguments.ts';
import { checkUsage, usageError } from './usage.ts';

export interface BeamFlags {
  readonly beams?: number;
  readonly lengthPenalty?: number;
}

/** Flags that choose tokens one by one, or are about other sequences: by the names that commander gives their values. */
const OTHER_CHOICES = [
  ...['temperature', 'topK', 'topP', 'minP', 'typicalP', 'repeatPenalty', 'repeatLastN', 'frequencyPenalty'],
  ...['presencePenalty', 'logitBias', 'seed', 'schema', 'grammar', 'lookup', 'draft', 'logprobs', 'n', 'batch'],
];

export function addBeamOptions(command: Command): Command {
  return command
    .option('--beams <n>', 'search for the likeliest text, n hypotheses at once; all n with --json', parsePositive)
    .option(
      '--length-penalty <p>',
      `with --beams: ranks by log-probability / length^p (default: ${DEFAULT_LENGTH_PENALTY})`,
      parseNumber,
    );
}

/** What the engine is told. Throws a usage error for values out of range, and for a flag beside --beams that does not fit. */
export function beamsOf(command: Command, { beams, lengthPenalty }: BeamFlags): BeamFlags {
  if (beams === undefined) {
    if (lengthPenalty !== undefined) throw usageError('--length-penalty needs --beams');
    return {};
  }
  checkUsage(() => checkBeams(beams, lengthPenalty ?? DEFAULT_LENGTH_PENALTY));
  const other = OTHER_CHOICES.find((name) => command.getOptionValueSource(name) === 'cli');
  if (other !== undefined) {
    const flag = command.options.find((option) => option.attributeName() === other)?.long;
    throw usageError(
      `${flag} does not fit --beams, which takes the likeliest texts of one prompt; leave one of them out`,
    );
  }
  return { beams, ...(lengthPenalty !== undefined && { lengthPenalty }) };
}
