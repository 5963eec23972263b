import type { KvLayout } from './layout.ts';
import type { Losses } from './lossy_options.ts';
import { PAGE_POSITIONS, pageBytes } from './row_pages.ts';

/** What a sequence of the lossy form takes at most: known before it begins. */

/** Rows that it holds at most, in whole pages: sequences up to maxSeq, runs of up to nTokens. */
export function mostRows(
  { window }: Pick<Losses, 'window'>,
  maxSeq: number,
  nTokens: number,
  pageSize = PAGE_POSITIONS,
): number {
  const all = wholePages(maxSeq, pageSize);
  if (window === null) return all;
  // The oldest row of a run sees size - 1 positions before it; they may begin anywhere in a page.
  const seen = wholePages(window.size - 1 + nTokens, pageSize) + pageSize;
  return Math.min(all, wholePages(window.sinks, pageSize) + seen);
}

/** Bytes of these rows; while a page is rounded, both of it are there. */
export function mostBytes(losses: Losses, layout: KvLayout, maxSeq: number, nTokens: number): number {
  const { type, recent } = losses;
  const nPages = mostRows(losses, maxSeq, nTokens) / PAGE_POSITIONS;
  if (type === 'f32' || recent === 0) return nPages * pageBytes(layout, type);
  const nHot = Math.min(nPages, wholePages(recent) / PAGE_POSITIONS + 2);
  const nCold = Math.min(nPages, nPages - nHot + 2);
  return nHot * pageBytes(layout, 'f32') + nCold * pageBytes(layout, type);
}

function wholePages(nPositions: number, pageSize = PAGE_POSITIONS): number {
  return Math.ceil(nPositions / pageSize) * pageSize;
}
