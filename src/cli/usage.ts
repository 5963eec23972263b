import { CommanderError } from 'commander';
import { ConfigError } from '../core/errors.ts';

/** Exit codes of the program. */
export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
/** What shells give a program that SIGINT ended: 128 + 2. */
export const EXIT_INTERRUPTED = 130;

/** A failure that the output has told already: exit code 1 and no further word. */
export const REPORTED_FAILURE = new CommanderError(EXIT_FAILED, 'glassformer.reported', 'see the output');

/** An error of the command line itself: exit code 2, and a pointer to --help. */
export function usageError(message: string): CommanderError {
  return new CommanderError(EXIT_USAGE, 'glassformer.usage', message);
}

/**
 * Runs a check of the engine on values that came from flags: its ConfigError (which names the flag, the value and the range)
 * is then an error of usage. To be called before a model is opened, whose own ConfigErrors are no fault of the flags.
 */
export function checkUsage<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    throw error instanceof ConfigError ? usageError(error.message) : error;
  }
}
