import { expect, test } from 'vitest';
import { figure } from './figures.ts';
import { renderLadder, renderLimits } from './ladder_report.ts';
import { FIGURES } from './ladder_section.ts';
import type { BenchRun } from './report.ts';

const figures = [
  figure(FIGURES.stream, 'GB/s', [30, 40]),
  figure(FIGURES.peak, 'GFLOP/s', [60]),
  figure(FIGURES.vector('naive'), 'GOP/s', [4]),
  figure(FIGURES.vector('lanes'), 'GOP/s', [8]),
  figure(FIGURES.vectorGain('lanes'), 'x', [1, 2, 3]),
  figure(FIGURES.matrixShare('lanes'), 'x', [0.25]),
];
const run: BenchRun = {
  label: 'A',
  date: '2026-01-02',
  cpu: 'c',
  node: 'n',
  v8: 'v',
  packages: {},
  tables: [{ title: 'T', note: 'N', figures }],
};

const cells = (markdown: string, first: string): string[] | undefined =>
  markdown
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .find((row) => row[1] === first)
    ?.slice(2, -1);

test('limits have a line for each run', () => {
  expect(cells(renderLimits([run]), 'A')).toEqual(['2026-01-02', 'c', 'n', 'v', '35.0 (30.0–40.0)', '60.0']);
});

test('a step has its figures; what was not measured is empty', () => {
  const text = renderLadder([run]);
  expect(cells(text, 'naive')).toEqual(['4.00', '', '', '', '', '', '']);
  expect(cells(text, 'lanes')).toEqual(['8.00', '2.00 (1.00–3.00)', '', '', '', '', '0.250']);
  expect(cells(text, 'relaxed')).toEqual(['', '', '', '', '', '', '']);
});
