import type { Command } from 'commander';
import { isGlassformerError } from '../core/errors.ts';
import type { GenerateOptions } from '../engine/generate.ts';
import type { Model } from '../engine/model.ts';
import type { Session } from '../engine/session.ts';
import type { ChatMessage } from '../text/chat_template.ts';
import { collectPieces, type Generated } from './collect_pieces.ts';
import { figuresLine } from './figures.ts';
import { printable, printableText } from './format.ts';
import { INTERRUPTED, type Io, type LineReader } from './io.ts';
import { writeJson } from './json.ts';
import { addKvOptions, type KvFlags } from './kv_options.ts';
import { loadForCommand } from './load.ts';
import { addExecutorOption, addRunOptions, loadOptionsOf, type RunFlags } from './model_options.ts';
import { addSamplingOptions, type SamplingFlags, samplingOf } from './sampling_options.ts';
import { styleOf } from './style.ts';

interface Flags extends RunFlags, SamplingFlags, KvFlags {
  readonly system?: string;
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
`;

export function defineChat(command: Command, io: Io): void {
  command.option('--system <text>', 'what the model is told before the conversation');
  addSamplingOptions(command, 'as many as the context has room for');
  addKvOptions(addExecutorOption(addRunOptions(command)));
  command.addHelpText('after', EXAMPLES).action((flags: Flags) => chat(io, flags));
}

async function chat(io: Io, flags: Flags): Promise<void> {
  const sampling = samplingOf(flags);
  const options = await loadOptionsOf(flags);
  const { needChatTemplate } = await import('../text/chat_template.ts');
  await using model = await loadForCommand(io, flags.model, options);
  needChatTemplate(model.chatTemplate, `model ${model.info.name}`);
  const conversation = createConversation(model, flags.system);
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
    conversation.dispose();
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

interface Conversation {
  readonly model: Model;
  /** Adds a message of the user's, and the answer. After a throw the conversation is as before. */
  say(message: string, options: GenerateOptions, show: (text: string) => void): Promise<Generated>;
  reset(): void;
  dispose(): void;
}

/** The messages so far, and a session whose cache holds as many of their tokens as possible. */
function createConversation(model: Model, system: string | undefined): Conversation {
  const start: readonly ChatMessage[] = system === undefined ? [] : [{ role: 'system', content: system }];
  const session = model.createSession();
  const now = new Date(); // once: a template that writes the date would else change old turns at midnight
  let messages = start;
  return {
    model,
    async say(message, options, show) {
      const asked = [...messages, { role: 'user', content: message }];
      const fresh = keepCommonPrefix(session, model.promptIds({ messages: asked, now }));
      const result = await collectPieces(model.generateIn(session, fresh, options), fresh.length, show);
      messages = [...asked, { role: 'assistant', content: result.text }];
      return result;
    },
    reset() {
      messages = start;
      session.truncate(0);
    },
    dispose: () => session.dispose(),
  };
}

/**
 * Truncates the session to what it shares with `ids`, and gives the rest, which is to be appended. A template may render an
 * old turn anew in other words (drop its thoughts, trim it): then the tokens from there on are run again. At least one id is
 * left to run, since its logits are needed.
 */
export function keepCommonPrefix(session: Pick<Session, 'ids' | 'truncate'>, ids: readonly number[]): number[] {
  let common = 0;
  const most = Math.min(session.ids.length, ids.length - 1);
  while (common < most && session.ids[common] === ids[common]) common++;
  session.truncate(common);
  return ids.slice(common);
}
