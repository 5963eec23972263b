import type { MemoryNeed } from '../exec/wasm/memory_need.ts';
import type { OnProgress, Progress } from '../load/weights.ts';
import { showBytes } from './format.ts';
import type { Io } from './io.ts';

/** What is over sooner than this passes without a word. */
const PATIENCE_MS = 1000;
/** A bar that moves more often is not seen, and writing it takes time. */
const REDRAW_MS = 50;
const BAR_CELLS = 10; // with them the line just fits 80 columns
/** Back to the start of the line, and clear it. */
const CLEAR_LINE = '\r\x1b[K';

/** A passing note on stderr: shown on a terminal only, gone when the work is done. */
export interface ProgressLine {
  readonly onProgress: OnProgress;
  /** What the bar says the model will need, once that is known. */
  readonly onMemoryNeed: (need: MemoryNeed) => void;
  /** Takes the line away. May be called more than once. */
  done(): void;
}

/**
 * A bar for reading weights, or for other work on many bytes or other things that `show` writes: "reading weights [####......]  45%  1.20 GB of 2.60 GB, 1.10 GB/s, needs 2.90 GB".
 */
export function createProgress(
  io: Pick<Io, 'stderr' | 'now'>,
  work = 'reading weights',
  show: Show = showBytes,
): ProgressLine {
  const { stderr } = io;
  const start = io.now();
  let lastDraw = -Infinity;
  let isShown = false;
  let need: MemoryNeed | undefined;
  let readFrom = start;
  return {
    onMemoryNeed(told) {
      need = told;
      readFrom = io.now();
    },
    onProgress(progress) {
      const at = io.now();
      if (!stderr.isTerminal || at - start <= PATIENCE_MS || at - lastDraw < REDRAW_MS) return;
      lastDraw = at;
      isShown = true;
      const parts = [barOf(work, progress, show), rateOf(progress, at - readFrom, show)];
      if (need !== undefined) parts.push(`needs ${showBytes(need.totalBytes)}`);
      // The last column would wrap, and a wrapped line cannot be cleared.
      stderr.write(CLEAR_LINE + parts.join(', ').slice(0, stderr.columns - 1));
    },
    done() {
      if (isShown) stderr.write(CLEAR_LINE);
      isShown = false;
    },
  };
}

/** An amount of work, for people. */
type Show = (amount: number) => string;

function barOf(work: string, { doneBytes, totalBytes }: Progress, show: Show): string {
  const part = totalBytes === 0 ? 1 : doneBytes / totalBytes;
  const bar = '#'.repeat(Math.floor(part * BAR_CELLS)).padEnd(BAR_CELLS, '.');
  const percent = `${Math.floor(100 * part)}%`.padStart(4);
  return `${work} [${bar}] ${percent}  ${show(doneBytes)} of ${show(totalBytes)}`;
}

function rateOf({ doneBytes }: Progress, ms: number, show: Show): string {
  return `${show(Math.round((1000 * doneBytes) / ms))}/s`;
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
