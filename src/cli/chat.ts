import { type Command, Option } from 'commander';
import { ConfigError, isGlassformerError } from '../core/errors.ts';
import type { GenerateOptions } from '../engine/generate.ts';
import type { Model } from '../engine/model.ts';
import { needChatTemplate } from '../text/template_source.ts';
import { collectVariable } from './arguments.ts';
import { type Chat, runChatCommand } from './chat_commands.ts';
import { hasRows, isJson, loadChat, readTools, saveChat } from './chat_file.ts';
import { nextInput } from './chat_lines.ts';
import { type ConversationOptions, createConversation } from './conversation.ts';
import { figuresLine } from './figures.ts';
import { plural, printable, printableText } from './format.ts';
import { INTERRUPTED, type Io, type LineReader } from './io.ts';
import { writeJson } from './json.ts';
import { addKvOptions, type KvFlags } from './kv_options.ts';
import { loadForCommand } from './load.ts';
import { addExecutorOption, addRunOptions, loadOptionsOf, type RunFlags } from './model_options.ts';
import { beginOutputFile } from './output_file.ts';
import { addSamplingOptions, type SamplingFlags, samplingOf } from './sampling_options.ts';
import { styleOf } from './style.ts';
import { REPORTED_FAILURE, usageError } from './usage.ts';

interface Flags extends RunFlags, SamplingFlags, KvFlags {
  readonly system?: string;
  readonly tools?: string;
  readonly templateVar?: Readonly<Record<string, unknown>>;
  readonly overflow: 'refuse' | 'shift';
  readonly loadSession?: string;
  readonly saveSession?: string;
}

const EXAMPLES = `
Lines are read from standard input, so a conversation can come from a file; --json prints one line for each answer.
/help lists what can be typed besides messages.

Examples:
  glassformer chat --model chat.gguf
  glassformer chat --model chat.gguf --system "Answer in one sentence." --temperature 0.5
  glassformer chat --model chat.gguf --template-var enable_thinking=false
  glassformer chat --model chat.gguf --load-session talk.session --save-session talk.session
`;

export function defineChat(command: Command, io: Io): void {
  command
    .option('--system <text>', 'what the model is told before the conversation')
    .option('--tools <file>', 'a JSON list of functions that the template shows to the model')
    .option('--template-var <name=value>', 'a variable of the template, JSON or text (repeatable)', collectVariable)
    .addOption(
      new Option('--overflow <what>', 'a full context: an error, or drop the oldest tokens behind --sinks and say so')
        .choices(['refuse', 'shift'])
        .default('refuse'),
    )
    .addOption(new Option('--load-session <file>', 'go on with a conversation that was saved').conflicts('system'))
    .option('--save-session <file>', 'write the conversation there when it ends, as /save does; replaces the file');
  addSamplingOptions(command, 'as many as the context has room for');
  addKvOptions(addExecutorOption(addRunOptions(command)));
  command.addHelpText('after', EXAMPLES).action((flags: Flags) => chat(io, flags));
}

async function chat(io: Io, flags: Flags): Promise<void> {
  const sampling = samplingOf(flags);
  await checkRows(flags);
  const isShift = flags.overflow === 'shift';
  const { sinks, ...noSinks } = flags;
  // Sinks belong to the window where there is one, and to the shift in any case.
  const options = await loadOptionsOf(isShift && flags.window === undefined ? noSinks : flags);
  const tools = flags.tools === undefined ? undefined : await readTools(flags.tools);
  await using model = await loadForCommand(io, flags.model, options);
  checkTemplate(model, flags);
  const conversationOptions: ConversationOptions = {
    shared: { tools, variables: flags.templateVar ?? {} },
    overflow: isShift ? { kind: 'shift', sinks } : undefined,
  };
  const generateOptions: GenerateOptions = {
    ...sampling,
    stop: flags.stop ?? [],
    ...(flags.maxTokens !== undefined && { maxTokens: flags.maxTokens }),
    showSpecial: tools !== undefined, // some models write calls with special tokens
  };
  const note = (text: string): void => io.stderr.write(`${styleOf(io.stderr, io.env).dim(text)}\n`);
  const state: Chat = {
    model,
    options: conversationOptions,
    conversation: await openConversation(model, flags, conversationOptions),
    tell: (text) => io.stderr.write(`${printableText(text)}\n`),
  };
  // Begun now, so that a place that cannot be written is known before anything is said.
  const saved = flags.saveSession === undefined ? null : await beginOutputFile(flags.saveSession);
  const lines = io.openLines();
  try {
    if (io.stderr.isTerminal) note(`${model.info.name}, ${model.info.kernels}; /help lists commands`);
    await converse(io, lines, state, generateOptions, flags, note);
  } finally {
    lines.close();
    // However it ends, by Ctrl-C or an error too: what was said until then is kept.
    try {
      if (saved !== null) await saveChat(flags.saveSession!, saved, state.conversation);
    } finally {
      state.conversation.dispose();
    }
  }
}

/**
 * Known before a model is loaded and anything is said: rows that are dropped or rounded are in no session file, and those of one were not.
 * Throws a usage error, and ConfigError for a file that is not there.
 */
async function checkRows({ saveSession, loadSession, window, kvType = 'f32', kvEvict }: Flags): Promise<void> {
  const flag =
    window !== undefined ? '--window' : kvEvict !== undefined ? '--kv-evict' : kvType !== 'f32' ? '--kv-type' : null;
  if (flag === null) return;
  if (saveSession !== undefined && !isJson(saveSession)) {
    throw usageError(
      `--save-session ${saveSession}: rows that ${flag} drops or rounds cannot be saved; leave ${flag} out, or save the messages alone, to a name that ends in .json`,
    );
  }
  if (loadSession !== undefined && (await hasRows(loadSession))) {
    throw usageError(
      `--load-session ${loadSession}: has rows as they were computed, which ${flag} drops or rounds; leave ${flag} out, or load a .json file, which has the messages alone`,
    );
  }
}

/** Throws ConfigError for a model without a template, and for one whose template does not know what it would be given. */
function checkTemplate(model: Model, { tools, templateVar = {} }: Flags): void {
  const template = needChatTemplate(model.chatTemplate, `model ${model.info.name}`);
  const given = [
    ...(tools === undefined ? [] : [['--tools', 'tools']]),
    ...Object.keys(templateVar).map((n) => ['--template-var', n]),
  ];
  const unknown = given.find(([, name]) => !new RegExp(`(?<![\\w])${name}(?!\\w)`).test(template));
  if (unknown !== undefined) {
    throw new ConfigError(
      `${unknown[0]}: the chat template of ${model.info.name} does not read "${unknown[1]}"; leave it out, or use another model`,
    );
  }
}

function openConversation(model: Model, { loadSession, system }: Flags, options: ConversationOptions) {
  if (loadSession !== undefined) return loadChat(model, loadSession, options);
  return createConversation(model, system === undefined ? [] : [{ role: 'system', content: system }], options);
}

/**
 * Turn after turn, until the input ends. What goes wrong in a command is told, and the chat goes on; without a terminal the exit code
 * is 1 in the end.
 */
async function converse(
  io: Io,
  lines: LineReader,
  state: Chat,
  options: GenerateOptions,
  flags: Flags,
  note: (text: string) => void,
): Promise<void> {
  let hasFailed = false;
  let nInterrupts = 0; // since the last line
  const interrupted = (stop: () => void) => (): void => {
    if (++nInterrupts > 1) lines.close();
    if (nInterrupts === 1) stop();
  };
  for (;;) {
    lines.onInterrupt(interrupted(() => note('\nCtrl-C again leaves; so do /exit and Ctrl-D')));
    const input = await nextInput(lines);
    io.signal.throwIfAborted();
    if (nInterrupts > 1) throw INTERRUPTED;
    nInterrupts = 0;
    if (input === null) break;
    try {
      if (input.kind === 'command') {
        if (await runChatCommand(state, input.name, input.argument)) break;
      } else if (input.text.trim() !== '') {
        const stop = new AbortController();
        lines.onInterrupt(interrupted(() => stop.abort(INTERRUPTED)));
        await answer(io, state, input.text, { ...options, signal: stop.signal }, stop, flags, note);
        if (nInterrupts > 1) throw INTERRUPTED;
      }
    } catch (error) {
      // A message that gets no answer ends a script, whose next ones may be about it; a person sees what is wrong.
      if (!isGlassformerError(error) || (input.kind === 'message' && !io.stderr.isTerminal)) throw error;
      io.stderr.write(`${styleOf(io.stderr, io.env).red('error:')} ${printable(error.message)}\n`);
      hasFailed = true;
    }
  }
  if (hasFailed && !io.stderr.isTerminal) throw REPORTED_FAILURE;
}

/** One turn. Thoughts are shown on a terminal alone, dimmed; in JSON they have a field of their own. */
async function answer(
  io: Io,
  { conversation, model }: Chat,
  message: string,
  options: GenerateOptions,
  stop: AbortController,
  flags: Flags,
  note: (text: string) => void,
): Promise<void> {
  const stopAll = (): void => stop.abort(io.signal.reason);
  io.signal.addEventListener('abort', stopAll, { once: true });
  const { isTerminal } = io.stdout;
  const { dim } = styleOf(io.stdout, io.env);
  let lastKind: 'reasoning' | 'answer' | undefined;
  let dropped = 0;
  try {
    const result = await conversation.say(
      message,
      options,
      (text, kind) => {
        if (flags.json === true || (kind === 'reasoning' && !isTerminal)) return;
        if (lastKind === 'reasoning' && kind === 'answer') io.stdout.write('\n\n');
        lastKind = kind;
        const shown = isTerminal ? printableText(text) : text;
        io.stdout.write(kind === 'reasoning' ? dim(shown) : shown);
      },
      (nTokens) => {
        dropped += nTokens;
        // In the middle of a line that is shown, it has one of its own.
        const start = lastKind !== undefined && isTerminal ? '\n' : '';
        note(
          `${start}the context is full: dropped ${plural(nTokens, 'token')}, the oldest behind what is kept (--sinks)`,
        );
      },
    );
    const { text, reasoning, pieces, finishReason, timings } = result;
    if (flags.json === true) {
      const ids = pieces.map((piece) => piece.id);
      const thoughts = reasoning !== '' && { reasoning };
      writeJson(io.stdout, { text, ...thoughts, ids, finishReason, timings, ...(dropped > 0 && { dropped }) });
    } else io.stdout.write('\n');
    note(figuresLine(model.info, timings, null, flags.temperature === 0 ? null : options.seed!));
    if (finishReason === 'context') note('the context is full: /undo, /clear, or go on with --overflow shift');
    if (finishReason === 'length' && text === '' && reasoning !== '') {
      note('it ended within its thoughts, without an answer: raise --max-tokens');
    }
  } finally {
    io.signal.removeEventListener('abort', stopAll);
  }
  io.signal.throwIfAborted();
}
