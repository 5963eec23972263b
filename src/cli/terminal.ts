import { createInterface } from 'node:readline';
import { ConfigError } from '../core/errors.ts';
import { INTERRUPTED, type Io, type LineReader, OUTPUT_CLOSED, type Output } from './io.ts';
import { usageError } from './usage.ts';

/** A terminal that does not tell its width. */
const DEFAULT_COLUMNS = 80;

/**
 * The process's own streams and signals.
 *
 * The first Ctrl-C asks the run to stop; the handler is gone then, so a second one kills the process as usual. Both are met when
 * the event loop turns, which it does not within one run of an executor. A reader that went away (`| head`) stops the run too; any
 * other failure of stdout (a full disk) becomes the signal's reason.
 */
export function createProcessIo(): Io {
  const { stdin, stdout, stderr } = process;
  const controller = new AbortController();
  process.once('SIGINT', () => controller.abort(INTERRUPTED));
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    controller.abort(
      error.code === 'EPIPE'
        ? OUTPUT_CLOSED
        : new ConfigError(`standard output: cannot be written (${error.message}); choose another place`),
    );
  });
  stderr.on('error', () => {}); // notes that nobody reads are no reason to stop
  return {
    stdout: outputOf(stdout),
    stderr: outputOf(stderr),
    env: process.env,
    signal: controller.signal,
    async flush() {
      // The callback comes after those of all writes before; their errors are told in the same turn of the event loop.
      await new Promise<void>((resolve) => stdout.write('', () => setImmediate(resolve)));
    },
    async readStdin() {
      const chunks: Uint8Array[] = [];
      for await (const chunk of stdin) chunks.push(chunk as Uint8Array);
      return Buffer.concat(chunks);
    },
    now: () => performance.now(),
    openLines: () => openLines(controller.signal),
  };
}

function outputOf(stream: NodeJS.WriteStream): Output {
  return {
    isTerminal: stream.isTTY === true,
    get columns() {
      return stream.columns ?? DEFAULT_COLUMNS;
    },
    write(text) {
      if (!stream.destroyed) stream.write(text);
    },
  };
}

/** Whether all that a stream has given so far is UTF-8. */
function watchUtf8(stream: NodeJS.ReadStream): () => boolean {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let isText = true;
  const check = (chunk?: Buffer): void => {
    try {
      if (isText) decoder.decode(chunk, { stream: chunk !== undefined });
    } catch {
      isText = false;
    }
  };
  stream.on('data', check);
  stream.on('end', () => check());
  return () => isText;
}

/**
 * Lines of standard input. On a terminal readline edits them and keeps a history; questions and echo go to stderr, so that
 * stdout has the answers alone. What is typed during an answer waits for its turn.
 */
function openLines(signal: AbortSignal): LineReader {
  const { stdin, stderr } = process;
  const isTerminal = stdin.isTTY === true && stderr.isTTY === true;
  const isText = isTerminal ? () => true : watchUtf8(stdin); // before readline, which puts U+FFFD for what is none
  const reader = createInterface({ input: stdin, output: stderr, terminal: isTerminal });
  const waiting: string[] = [];
  let isClosed = false;
  let isAsking = false;
  let wake = (): void => {};
  let interrupt = (): void => {};

  reader.on('line', (line) => {
    waiting.push(line);
    wake();
  });
  reader.on('close', () => {
    isClosed = true;
    wake();
  });
  reader.on('SIGINT', () => {
    interrupt();
    if (isAsking && !isClosed) reader.prompt(); // under what the handler wrote
  });
  signal.addEventListener('abort', () => reader.close(), { once: true });

  return {
    async next(question) {
      if (isTerminal && !isClosed && waiting.length === 0) {
        reader.setPrompt(question);
        reader.prompt();
        isAsking = true;
      }
      while (waiting.length === 0 && !isClosed) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      isAsking = false;
      if (!isText()) throw usageError('standard input: is not UTF-8 text; convert it first');
      return waiting.shift() ?? null;
    },
    onInterrupt(handler) {
      interrupt = handler;
    },
    close: () => reader.close(),
  };
}
