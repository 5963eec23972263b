import { Environment, parse, tokenize } from '@huggingface/jinja';
import { CapacityError, ConfigError, FormatError, isGlassformerError } from '../core/errors.ts';
import { FueledInterpreter } from './jinja_fuel.ts';
import type { Node } from './jinja_uses.ts';
import { strftime } from './strftime.ts';

/** One turn. Templates may read other fields (name, tool_calls, ...). */
export interface ChatMessage {
  readonly role: string;
  readonly content: unknown;
  readonly [field: string]: unknown;
}

export interface ChatOptions {
  /** Ends the prompt with the opening of the assistant's turn. Default true. */
  readonly addGenerationPrompt?: boolean;
  /** The text of the start and end tokens; templates of many models write them. */
  readonly bosToken?: string | undefined;
  readonly eosToken?: string | undefined;
  /** JSON descriptions of functions. */
  readonly tools?: readonly object[] | undefined;
  /** Further variables that a template knows, e.g. enable_thinking. */
  readonly variables?: Readonly<Record<string, unknown>>;
  /** The clock of strftime_now, which stands still; read in UTC so that every host writes the same. */
  readonly now?: Date | undefined;
  /** Characters of the result, and of any value on the way. Default 2^22. */
  readonly maxOutput?: number;
  /** Steps of the interpreter. Default 2,000,000, at worst a few seconds. */
  readonly maxSteps?: number;
}

const MAX_OUTPUT = 2 ** 22;
const MAX_STEPS = 2_000_000;
/** The longest known template has 20,000 characters. */
const MAX_TEMPLATE = 2 ** 18;
/** The library's pattern for {% generation %} takes time in the square of a run of white space. */
const MAX_BLANKS = 1024;
/** Elements that range() may give. */
const MAX_RANGE = 2 ** 16;

/**
 * Renders a chat to the prompt that the model was trained on. Room 2.
 *
 * Variables: messages, tools, add_generation_prompt, bos_token, eos_token, and `options.variables`; functions: range,
 * raise_exception, strftime_now, namespace. Blocks are trimmed as Hugging Face does (trim_blocks, lstrip_blocks).
 * Whatever the template does, this ends: see jinja_fuel.ts.
 *
 * Throws FormatError for wrong syntax (the parser tells no place: the offset is the template's start), ConfigError with the
 * template's own words for raise_exception and for errors while it runs, CapacityError when it needs more than its limits.
 */
export function renderChat(template: string, messages: readonly ChatMessage[], options: ChatOptions = {}): string {
  const fuel = { maxSteps: options.maxSteps ?? MAX_STEPS, maxOutput: options.maxOutput ?? MAX_OUTPUT };
  const program = parseTemplate(template);
  return guarded(
    (error) =>
      new ConfigError(`chat template: ${error.message || 'stopped'}; check the messages, or use generate --raw`),
    () => {
      const scope = makeScope(messages, options);
      return String(new FueledInterpreter(scope, program, fuel).evaluate(program, scope as never).value);
    },
  );
}

function parseTemplate(template: string): Node {
  if (template.length > MAX_TEMPLATE) {
    throw new CapacityError(`chat template: ${template.length} characters, at most ${MAX_TEMPLATE}`);
  }
  const blanks = longestBlankRun(template);
  if (blanks > MAX_BLANKS) {
    throw new CapacityError(`chat template: ${blanks} blanks in a row, at most ${MAX_BLANKS}`);
  }
  return guarded(
    (error) => new FormatError(`chat template: ${error.message}`, 0),
    () => parse(tokenize(template, { lstrip_blocks: true, trim_blocks: true })) as Node,
  );
}

function makeScope(messages: readonly ChatMessage[], options: ChatOptions): object {
  const scope = new Environment();
  const variables: Record<string, unknown> = {
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    range,
    raise_exception(message: unknown): never {
      throw new ConfigError(`chat template refuses these messages: ${String(message)}`);
    },
    messages,
    tools: options.tools ?? null,
    documents: null,
    add_generation_prompt: options.addGenerationPrompt ?? true,
    bos_token: options.bosToken ?? '',
    eos_token: options.eosToken ?? '',
  };
  // Without a clock there is no such function: a template may ask for that and write a date of its own, as Llama 3.2's does.
  const { now } = options;
  if (now !== undefined) variables['strftime_now'] = (format: unknown): string => strftime(now, String(format));
  for (const [name, value] of Object.entries(options.variables ?? {})) {
    if (Object.hasOwn(variables, name) || name === 'namespace') {
      throw new ConfigError(`chat template: the variable "${name}" is set already and cannot be set again`);
    }
    variables[name] = value;
  }
  for (const [name, value] of Object.entries(variables)) scope.set(name, value);
  return scope;
}

/** Python's range, refused before it is made where it is too long. */
function range(...args: unknown[]): number[] {
  const [first, second, step = 1] = args;
  const [start, stop] = second === undefined ? [0, first] : [first, second];
  if (!Number.isInteger(start) || !Number.isInteger(stop) || !Number.isInteger(step) || step === 0) {
    throw new ConfigError(`chat template: range(${args.join(', ')}) needs integers, and a step other than 0`);
  }
  const from = start as number;
  const by = step as number;
  const length = Math.max(0, Math.ceil(((stop as number) - from) / by));
  if (length > MAX_RANGE) {
    throw new CapacityError(`chat template: range of ${length} elements, at most ${MAX_RANGE}`);
  }
  return Array.from({ length }, (_, i) => from + i * by);
}

function longestBlankRun(text: string): number {
  let longest = 0;
  for (const run of text.match(/\s+/g) ?? []) longest = Math.max(longest, run.length);
  return longest;
}

/** The library throws plain errors, and a full stack or a string beyond the host's limit is a RangeError. */
function guarded<T>(asError: (error: Error) => Error, body: () => T): T {
  try {
    return body();
  } catch (error) {
    if (isGlassformerError(error)) throw error;
    if (error instanceof RangeError) {
      throw new CapacityError(`chat template: nested too deeply or a text too long (${error.message})`);
    }
    throw asError(error as Error);
  }
}
