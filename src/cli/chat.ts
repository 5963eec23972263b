import { type Command, Option } from 'commander';
import { isGlassformerError } from '../core/errors.ts';
import type { GenerateOptions } from '../engine/generate.ts';
import type { Model } from '../engine/model.ts';
import { openNodeFile } from '../platform/node_file.ts';
import { needChatTemplate } from '../text/template_source.ts';
import { type Conversation, createConversation, restoreConversation } from './conversation.ts';
import { figuresLine } from './figures.ts';
import { printable, printableText } from './format.ts';
import { INTERRUPTED, type Io, type LineReader } from './io.ts';
import { writeJson } from './json.ts';
import { addKvOptions, type KvFlags } from './kv_options.ts';
import { loadForCommand } from './load.ts';
import { addExecutorOption, addRunOptions, loadOptionsOf, type RunFlags } from './model_options.ts';
import { beginOutputFile, type OutputFile } from './output_file.ts';
import { addSamplingOptions, type SamplingFlags, samplingOf } from './sampling_options.ts';
import { styleOf } from './style.ts';

interface Flags extends RunFlags, SamplingFlags, KvFlags {
  readonly system?: string;
  readonly loadSession?: string;
  readonly saveSession?: string;
}

const HELP = `/reset  begin a new conversation
/quit   leave (also Ctrl-D)
/help   this list
Ctrl-C stops an answer. A line that begins with // is sent with one of them.
`;

const EXAMPLES = `
Lines are read from standard input, so a conversation can come from a file; --json prints one line for each answer.

Examples:
  glassformer chat --model chat.gguf
  glassformer chat --model chat.gguf --system "Answer in one sentence." --temperature 0.5
  glassformer chat --model chat.gguf --load-session talk.session --save-session talk.session
`;

export function defineChat(command: Command, io: Io): void {
  command
    .option('--system <text>', 'what the model is told before the conversation')
    .addOption(
      new Option('--load-session <file>', 'go on with a conversation that was saved with the same model').conflicts(
        'system',
      ),
    )
    .option(
      '--save-session <file>',
      'write the conversation and its computed rows there when it ends; replaces the file',
    );
  addSamplingOptions(command, 'as many as the context has room for');
  addKvOptions(addExecutorOption(addRunOptions(command)));
  command.addHelpText('after', EXAMPLES).action((flags: Flags) => chat(io, flags));
}

async function chat(io: Io, flags: Flags): Promise<void> {
  const sampling = samplingOf(flags);
  const options = await loadOptionsOf(flags);
  await using model = await loadForCommand(io, flags.model, options);
  needChatTemplate(model.chatTemplate, `model ${model.info.name}`);
  const conversation = await openConversation(model, flags);
  // Begun now, so that a place that cannot be written is known before anything is said.
  const saved = flags.saveSession === undefined ? null : await beginOutputFile(flags.saveSession);
  const lines = io.openLines();
  const note = (text: string): void => io.stderr.write(`${styleOf(io.stderr, io.env).dim(text)}\n`);
  const generateOptions: GenerateOptions = {
    ...sampling,
    stop: flags.stop ?? [],
    ...(flags.maxTokens !== undefined && { maxTokens: flags.maxTokens }),
  };
  try {
    if (io.stderr.isTerminal) note(`${model.info.name}, ${model.info.kernels}; /help lists commands`);
    for (;;) {
      lines.onInterrupt(() => note('\n/quit or Ctrl-D leaves'));
      const line = await lines.next('> ');
      io.signal.throwIfAborted();
      if (line === null || line === '/quit') return;
      if (line.trim() === '') continue;
      if (line === '/help') io.stderr.write(HELP);
      else if (line === '/reset') conversation.reset();
      else if (/^\/(?!\/)/.test(line)) note(`there is no ${printable(line.split(' ')[0]!)}; /help lists commands`);
      else await answer(io, lines, conversation, line.replace(/^\/\//, '/'), generateOptions, flags, note);
    }
  } finally {
    lines.close();
    // However it ends, by Ctrl-C or an error too: what was said until then is kept.
    try {
      if (saved !== null) await saveTo(saved, conversation);
    } finally {
      conversation.dispose();
    }
  }
}

async function openConversation(model: Model, { loadSession, system }: Flags): Promise<Conversation> {
  if (loadSession === undefined) return createConversation(model, system);
  const file = await openNodeFile(loadSession);
  try {
    return await restoreConversation(model, file);
  } finally {
    await file.close();
  }
}

async function saveTo(file: OutputFile, conversation: Conversation): Promise<void> {
  try {
    for await (const bytes of conversation.save()) await file.write(bytes);
    await file.commit();
  } finally {
    await file.discard();
  }
}

/** One turn. On a terminal an error (the context is full, the template refuses) ends the turn, not the program. */
async function answer(
  io: Io,
  lines: LineReader,
  conversation: Conversation,
  message: string,
  options: GenerateOptions,
  flags: Flags,
  note: (text: string) => void,
): Promise<void> {
  const stop = new AbortController();
  const stopAll = (): void => stop.abort(io.signal.reason);
  io.signal.addEventListener('abort', stopAll, { once: true });
  lines.onInterrupt(() => stop.abort(INTERRUPTED));
  const show = (text: string): void => {
    if (flags.json !== true) io.stdout.write(io.stdout.isTerminal ? printableText(text) : text);
  };
  try {
    const { text, pieces, finishReason, timings } = await conversation.say(
      message,
      { ...options, signal: stop.signal },
      show,
    );
    if (flags.json === true) {
      writeJson(io.stdout, { text, ids: pieces.map((piece) => piece.id), finishReason, timings });
    } else io.stdout.write('\n');
    note(figuresLine(conversation.model.info, timings, null, flags.temperature === 0 ? null : options.seed!));
    if (finishReason === 'context') note('the context is full: /reset begins a new conversation');
  } catch (error) {
    if (!isGlassformerError(error) || !io.stderr.isTerminal) throw error;
    note(`error: ${printable(error.message)}`);
  } finally {
    io.signal.removeEventListener('abort', stopAll);
  }
  io.signal.throwIfAborted();
}
