import type { Graph } from './ir.ts';
import { type Box, pictureOf } from './picture.ts';

/** Pixels. */
const BOX_WIDTH = 236;
const LINE_HEIGHT = 14;
const PADDING = 6;
const GAP_X = 24;
const GAP_Y = 30;
const MARGIN = 20;
/** Characters of a line that fit a box in its font. */
const FITTING = 38;

const FILLS: Readonly<Record<Box['kind'], readonly [fill: string, stroke: string]>> = {
  feed: ['#eeeeee', '#888888'],
  matrix: ['#cfe3ff', '#3a6ea5'],
  attention: ['#ffe2c2', '#b8722c'],
  cache: ['#d8f0d2', '#4c8a3f'],
  rows: ['#ffffff', '#888888'],
  omitted: ['#ffffff', '#888888'],
};

/**
 * A graph as a drawing of its own, without a program to lay it out: a box is one row below the lowest one that it reads, and the
 * boxes of a row stand side by side, each as near as it can to what it reads.
 */
export function graphSvg(graph: Graph): string {
  const { boxes, arrows } = pictureOf(graph);
  const readsOf: number[][] = boxes.map(() => []);
  for (const { from, to } of arrows) readsOf[to]!.push(from);
  // The box of the other layers is read by what comes after it and reads what came before: arrows may point up to it.
  const row: number[] = [];
  const rows: number[][] = [];
  boxes.forEach((_, i) => {
    row[i] = readsOf[i]!.reduce((lowest, from) => Math.max(lowest, from < i ? row[from]! + 1 : 0), 0);
    rows[row[i]] ??= [];
    rows[row[i]]!.push(i);
  });
  const heights = rows.map((members) => Math.max(...members.map((i) => heightOf(boxes[i]!))));
  const tops = heights.map((_, r) => MARGIN + heights.slice(0, r).reduce((sum, h) => sum + h + GAP_Y, 0));
  const centres: number[] = [];
  for (const members of rows) placeRow(members, readsOf, centres);
  const leftmost = Math.min(0, ...centres.map((c) => c - BOX_WIDTH / 2));
  const x = (i: number): number => centres[i]! - leftmost + MARGIN;
  const width = Math.max(...boxes.map((_, i) => x(i))) + BOX_WIDTH / 2 + MARGIN;
  const height = tops.at(-1)! + heights.at(-1)! + MARGIN;
  const curves = arrows.map(({ from, to }) => {
    const [y1, y2] = [tops[row[from]!]! + heightOf(boxes[from]!), tops[row[to]!]!];
    const middle = (y1 + y2) / 2;
    return `<path d="M${x(from)} ${y1}C${x(from)} ${middle} ${x(to)} ${middle} ${x(to)} ${y2}" marker-end="url(#tip)"/>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" fill="#666"/></marker></defs>',
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<g fill="none" stroke="#666">${curves.join('\n')}</g>`,
    `<g font-family="sans-serif" font-size="11" text-anchor="middle">`,
    ...boxes.map((box, i) => boxText(box, x(i), tops[row[i]!]!)),
    '</g>\n</svg>\n',
  ].join('\n');
}

/** Side by side in the order of what they read, each at the middle of it where there is room. */
function placeRow(members: readonly number[], readsOf: readonly number[][], centres: number[]): void {
  const wish = (i: number): number => {
    const from = readsOf[i]!.filter((f) => centres[f] !== undefined);
    return from.length === 0 ? 0 : from.reduce((sum, f) => sum + centres[f]!, 0) / from.length;
  };
  const step = BOX_WIDTH + GAP_X;
  const ordered = members.map((i) => ({ i, at: wish(i) })).sort((a, b) => a.at - b.at);
  let next = -Infinity;
  const placed = ordered.map(({ at }) => {
    next = Math.max(at, next + step);
    return next;
  });
  // Pushed to the right by each other: half of it back, so that the row stands under what it reads.
  const shift = placed.reduce((sum, c, k) => sum + c - ordered[k]!.at, 0) / placed.length;
  ordered.forEach(({ i }, k) => {
    centres[i] = placed[k]! - shift;
  });
}

function heightOf({ lines }: Box): number {
  return (1 + lines.length) * LINE_HEIGHT + 2 * PADDING;
}

function boxText(box: Box, x: number, top: number): string {
  const [fill, stroke] = FILLS[box.kind];
  const dash = box.kind === 'omitted' ? ' stroke-dasharray="4"' : '';
  const lines = [box.title, ...box.lines].map((line, k) => {
    const weight = k === 0 ? ' font-weight="bold"' : '';
    return `<text x="${x}" y="${top + PADDING + (k + 0.8) * LINE_HEIGHT}"${weight}>${escaped(shortened(line))}</text>`;
  });
  return `<rect x="${x - BOX_WIDTH / 2}" y="${top}" width="${BOX_WIDTH}" height="${heightOf(box)}" rx="4" fill="${fill}" stroke="${stroke}"${dash}/>${lines.join('')}`;
}

function shortened(line: string): string {
  const characters = Array.from(line);
  return characters.length <= FITTING ? line : `${characters.slice(0, FITTING - 3).join('')}...`;
}

/** Names come from files: nothing in them may end a text or be no XML. */
function escaped(line: string): string {
  const shown = line.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '?');
  return shown.replace(/[^ -~]|[&<>"]/gu, (c) => `&#${c.codePointAt(0)};`);
}
