/**
 * What the command line needs from its process. `terminal.ts` makes it from Node's; tests hand in one of their own, so that a
 * whole command can run without a process around it.
 */
export interface Io {
  /** Results, and nothing else. */
  readonly stdout: Output;
  /** Progress, notes, figures and errors. */
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted with INTERRUPTED by Ctrl-C, with OUTPUT_CLOSED when nobody reads stdout any more. */
  readonly signal: AbortSignal;
  /** Resolves once all that was written to stdout has arrived or has failed; `signal` tells a failure by then. */
  flush(): Promise<void>;
  /** All of standard input. */
  readStdin(): Promise<Uint8Array>;
  /** Milliseconds from any start, monotonic: what progress is measured with. */
  now(): number;
  /** Takes over standard input, line by line. */
  openLines(): LineReader;
}

export interface Output {
  /** Decides on colours, progress bars and the newline after a text. */
  readonly isTerminal: boolean;
  /** Characters in a line of the terminal. */
  readonly columns: number;
  write(text: string): void;
}

export interface LineReader {
  /** The next line; null at the end of the input. `question` is shown on a terminal only. */
  next(question: string): Promise<string | null>;
  /** `handler` is called for each Ctrl-C from now on, in place of the one before. */
  onInterrupt(handler: () => void): void;
  close(): void;
}

/** The two reasons for which a run ends early without having failed. */
export const INTERRUPTED = new DOMException('interrupted', 'AbortError');
export const OUTPUT_CLOSED = new DOMException('nobody reads the output', 'AbortError');
