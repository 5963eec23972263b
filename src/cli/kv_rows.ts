import type { RowStats, SequenceRows } from '../kvcache/cache.ts';
import type { KvType } from '../kvcache/coded_rows.ts';
import { showBytes, showCount } from './format.ts';

/**
 * The rows of a cache that drops or rounds them: what it does, how much is left, and a map of every sequence's positions.
 *
 *   sequence 0, 60 positions: 44 kept in 3 pages, 6.14 kB
 *         0  ssss------------................--8888888888888888888888888
 */
const LINE_SIGNS = 64;
const MOST_LINES = 8;

const SIGNS: Readonly<Record<KvType, string>> = { f32: 'f', q8_0: '8', q4_0: '4' };
const SINK = 's';
const UNSEEN = '-';
const DROPPED = '.';

/** What is done to rows, and how many are left. */
export function rowLines(rows: RowStats): string[] {
  const { window, type, recent, budget, sequences } = rows;
  const rules = [
    ...(window === null ? [] : [`a window of ${showCount(window.size)} behind ${showCount(window.sinks)} sinks`]),
    ...(budget === undefined
      ? []
      : [
          `at most ${showCount(budget.most)} a sequence: ${showCount(budget.sinks)} sinks, the newest ${showCount(budget.newest)}, and those attended to most`,
        ]),
    type === 'f32'
      ? 'f32'
      : recent === 0
        ? `${type} when written`
        : `f32, ${type} once their page is ${showCount(recent)} positions old`,
  ];
  const nKept = sequences.reduce((n, sequence) => n + keptOf(sequence), 0);
  const nAll = sequences.reduce((n, { length }) => n + length, 0);
  const types = (['f32', 'q8_0', 'q4_0'] as const).flatMap((each) => {
    const n = sequences.reduce((sum, sequence) => sum + keptOf(sequence, each), 0);
    return n === 0 ? [] : [`${showCount(n)} in ${each}`];
  });
  return [
    `rows        ${rules.join('; ')}`,
    `            ${showCount(nKept)} kept (${types.join(', ')}), ${showCount(nAll - nKept)} dropped`,
  ];
}

/** A sign for each position, or for a few of them where a sequence is long. */
export function rowPicture(rows: RowStats): string[] {
  const { sequences, window, type, recent, budget } = rows;
  const longest = sequences.reduce((most, { length }) => Math.max(most, length), 0);
  const step = Math.max(1, Math.ceil(longest / (LINE_SIGNS * MOST_LINES)));
  const each = step === 1 ? 'position' : `${step} positions, the first sign that one of them has`;
  const legend = [
    ...((window ?? budget)?.sinks ? [`${SINK} a sink`] : []),
    ...(recent === 0 ? [type] : (['f32', type] as const)).map((name) => `${SIGNS[name]} ${name}`),
    ...(window === null ? [] : [`${UNSEEN} kept, not seen by the next row`]),
    `${DROPPED} dropped`,
  ];
  const lines = [`rows by ${each} (${legend.join(', ')})`];
  for (const one of sequences) {
    const pages = one.nPages === 1 ? '1 page' : `${showCount(one.nPages)} pages`;
    lines.push(
      `  sequence ${one.sequence}, ${one.length} positions: ${keptOf(one)} kept in ${pages}, ${showBytes(one.nBytes)}`,
    );
    const signs = signsOf(rows, one);
    for (let from = 0; from < one.length; from += step * LINE_SIGNS) {
      let line = '';
      for (let at = from; at < Math.min(one.length, from + step * LINE_SIGNS); at += step) {
        line += first(signs.slice(at, at + step));
      }
      lines.push(`  ${String(from).padStart(5)}  ${line}`);
    }
  }
  return lines;
}

/** One sign for each position of a sequence. */
function signsOf({ window, budget }: RowStats, { length, kept }: SequenceRows): string[] {
  const signs = new Array<string>(length).fill(DROPPED);
  const nSinks = (window ?? budget)?.sinks ?? 0;
  const start = window === null ? 0 : length + 1 - window.size;
  for (const { from, until, type } of kept) {
    for (let p = from; p < until; p++) {
      signs[p] = p < nSinks ? SINK : p < start ? UNSEEN : SIGNS[type];
    }
  }
  return signs;
}

/** Of several signs: what is kept and seen shows before what is not. */
function first(signs: readonly string[]): string {
  return signs.find((sign) => sign !== DROPPED && sign !== UNSEEN) ?? signs.find((sign) => sign === UNSEEN) ?? DROPPED;
}

function keptOf({ kept }: SequenceRows, of?: KvType): number {
  return kept.reduce((n, { from, until, type }) => n + (of === undefined || type === of ? until - from : 0), 0);
}
