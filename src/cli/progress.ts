import type { OnProgress, Progress } from '../load/weights.ts';
import { printable, showBytes } from './format.ts';
import type { Io } from './io.ts';

/** Loads beyond this show a bar from the start; smaller ones only once they take long. */
const LARGE_BYTES = 100e6;
/** What is over sooner than this passes without a word. */
const PATIENCE_MS = 1000;
/** A bar that moves more often is not seen, and writing it takes time. */
const REDRAW_MS = 50;
const BAR_CELLS = 24;
/** Back to the start of the line, and clear it. */
const CLEAR_LINE = '\r\x1b[K';

/** A passing note on stderr: shown on a terminal only, gone when the work is done. */
export interface ProgressLine {
  readonly onProgress: OnProgress;
  /** Takes the line away. May be called more than once. */
  done(): void;
}

/**
 * A bar for reading weights, or for other work on many bytes: "reading weights [######......]  45%  blk.12.attn_q.weight  1.20 GB of 2.60 GB".
 * now: milliseconds from any start, monotonic.
 */
export function createProgress(io: Pick<Io, 'stderr'>, now: () => number, work = 'reading weights'): ProgressLine {
  const { stderr } = io;
  const start = now();
  let lastDraw = -Infinity;
  let isShown = false;
  return {
    onProgress(progress) {
      const at = now();
      const isDue = progress.totalBytes > LARGE_BYTES || at - start > PATIENCE_MS;
      if (!stderr.isTerminal || !isDue || at - lastDraw < REDRAW_MS) return;
      lastDraw = at;
      isShown = true;
      stderr.write(CLEAR_LINE + barOf(work, progress, stderr.columns));
    },
    done() {
      if (isShown) stderr.write(CLEAR_LINE);
      isShown = false;
    },
  };
}

function barOf(work: string, { doneBytes, totalBytes, what }: Progress, columns: number): string {
  const part = totalBytes === 0 ? 1 : doneBytes / totalBytes;
  const bar = '#'.repeat(Math.floor(part * BAR_CELLS)).padEnd(BAR_CELLS, '.');
  const percent = `${Math.floor(100 * part)}%`.padStart(4);
  const line = `${work} [${bar}] ${percent}  ${showBytes(doneBytes)} of ${showBytes(totalBytes)}  ${printable(what)}`;
  return line.slice(0, columns - 1); // the last column would wrap, and a wrapped line cannot be cleared
}

/** Shows `text` on a terminal once the work has taken a second; the result takes it away. */
export function noteIfSlow(io: Pick<Io, 'stderr'>, text: string): () => void {
  const { stderr } = io;
  if (!stderr.isTerminal) return () => {};
  let isShown = false;
  const timer = setTimeout(() => {
    isShown = true;
    stderr.write(CLEAR_LINE + text.slice(0, stderr.columns - 1));
  }, PATIENCE_MS);
  return () => {
    clearTimeout(timer);
    if (isShown) stderr.write(CLEAR_LINE);
    isShown = false;
  };
}
