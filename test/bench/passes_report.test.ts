import { expect, test } from 'vitest';
import { figure } from './figures.ts';
import { renderPasses } from './passes_report.ts';
import { PASS_FIGURES, passVariants } from './passes_section.ts';
import type { BenchRun } from './report.ts';

test('a row for each choice of passes, with what was measured and nothing where it was not', () => {
  const figures = [
    figure(PASS_FIGURES.nodes('all'), '', [1170]),
    figure(PASS_FIGURES.nodes('none'), '', [1058]),
    figure(PASS_FIGURES.decodeRatio('none'), 'x', [1.2, 1.25, 1.3]),
  ];
  const run = { label: 'L', cpu: 'C', date: 'D', tables: [{ title: '', note: '', figures }] } as unknown as BenchRun;
  const lines = renderPasses([run]).split('\n');
  expect(lines.some((line) => /^\| all +\| +\| +\| +\| +1170 \|/.test(line))).toBe(true);
  expect(lines.some((line) => /^\| none +\|.*1\.25 \(1\.20–1\.30\)/.test(line))).toBe(true);
  expect(renderPasses([])).toBe('No run is stored yet.');
});

test('variants: all, none, and each pass that finds something in this model, left out and alone', () => {
  const names = [...passVariants().keys()];
  expect(names.slice(0, 2)).toEqual(['all', 'none']);
  for (const name of ['merge_qkv', 'merge_gate_up', 'last_row_only', 'drop_dead']) {
    expect(names).toEqual(expect.arrayContaining([`without ${name}`, `only ${name}`]));
  }
  expect(names).not.toContain('without share_common');
});
