import { INTERRUPTED, type Io, type Output } from '../../src/cli/io.ts';
import { run } from '../../src/cli/run.ts';

/** What a run left behind. */
export interface RunResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface FakeOptions {
  readonly stdinBytes?: Uint8Array;
  /** What a person types, line by line; then the input ends. */
  readonly lines?: readonly string[];
  readonly isStdoutTerminal?: boolean;
  readonly isStderrTerminal?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  /** Called when the keyboard is asked for a line. */
  readonly onQuestion?: (io: FakeIo) => void;
  /** The clock that progress is measured with; by default the real one. */
  readonly now?: () => number;
  /** Sees everything that is written to stdout, as it is written; may press Ctrl-C. */
  readonly onStdout?: (text: string, io: FakeIo) => void;
  /** Ctrl-C is pressed just before the signal is looked at for the n-th time, from 1. */
  readonly interruptAtCheck?: number;
}

/** A process that exists in the test alone: its outputs are strings, its keyboard is a list. */
export interface FakeIo extends Io {
  readonly written: { stdout: string; stderr: string };
  /** Ctrl-C: to whoever reads the keyboard, else to the program. */
  pressCtrlC(): void;
  /** Ends the program's signal for any reason, e.g. OUTPUT_CLOSED. */
  abort(reason: unknown): void;
}

export function createFakeIo(o: FakeOptions = {}): FakeIo {
  const written = { stdout: '', stderr: '' };
  const controller = new AbortController();
  if (o.interruptAtCheck !== undefined) interruptAtCheck(controller, o.interruptAtCheck);
  let interrupt: (() => void) | undefined;
  const output = (name: 'stdout' | 'stderr', isTerminal: boolean): Output => ({
    isTerminal,
    columns: 80,
    write(text) {
      written[name] += text;
      if (name === 'stdout') o.onStdout?.(text, io);
    },
  });
  const io: FakeIo = {
    written,
    stdout: output('stdout', o.isStdoutTerminal ?? false),
    stderr: output('stderr', o.isStderrTerminal ?? false),
    env: o.env ?? {},
    signal: controller.signal,
    flush: async () => {},
    now: o.now ?? (() => performance.now()),
    readStdin: async () => o.stdinBytes ?? new Uint8Array(0),
    openLines() {
      const waiting = [...(o.lines ?? [])];
      return {
        async next() {
          o.onQuestion?.(io);
          return waiting.shift() ?? null;
        },
        onInterrupt(handler) {
          interrupt = handler;
        },
        close() {
          waiting.length = 0;
          interrupt = undefined;
        },
      };
    },
    pressCtrlC: () => (interrupt === undefined ? controller.abort(INTERRUPTED) : interrupt()),
    abort: (reason) => controller.abort(reason),
  };
  return io;
}

/** A Ctrl-C at a certain place of a run, whatever the speed of the machine. */
function interruptAtCheck(controller: AbortController, n: number): void {
  const { signal } = controller;
  let nChecks = 0;
  signal.throwIfAborted = () => {
    nChecks++;
    if (nChecks === n) controller.abort(INTERRUPTED);
    AbortSignal.prototype.throwIfAborted.call(signal);
  };
}

/** Runs the program in this process. */
export async function runCli(argv: readonly string[], options: FakeOptions = {}): Promise<RunResult> {
  const io = createFakeIo(options);
  const exitCode = await run(argv, io);
  return { exitCode, ...io.written };
}

/** Runs the program with --json and gives what it printed; anything but exit code 0 and one line of JSON is an error. */
export async function runJson<T>(argv: readonly string[], options: FakeOptions = {}): Promise<T> {
  const { exitCode, stdout, stderr } = await runCli([...argv, '--json'], options);
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${stderr}`);
  if (!/^[^\n]+\n$/.test(stdout)) throw new Error(`not one line: ${stdout}`);
  return JSON.parse(stdout) as T;
}
