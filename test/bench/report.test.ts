import { describe, expect, test } from 'vitest';
import { onnxMatMul } from '../peers/onnx_matmul.ts';
import { varintField } from '../peers/protobuf.ts';
import { figure, isReached, missingFigure, showNumber, type Table } from './figures.ts';
import { inTurns, ratios, spreadOf } from './measure.ts';
import { type BenchRun, renderRuns } from './report.ts';

describe('measuring', () => {
  test('median, smallest and largest, whatever the order', () => {
    expect(spreadOf([5, 1, 3])).toEqual({ median: 3, min: 1, max: 5 });
    expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4 });
  });

  test('contenders take turns, one sample each', async () => {
    const ran: string[] = [];
    const contender = (name: string) => ({ name, run: () => void ran.push(name) });
    const times = await inTurns([contender('a'), contender('b')], { turns: 3, sampleMs: 0, warmUpMs: 0 });
    expect(ran.join('')).toBe('abababab'); // one warm-up each, then three turns
    expect(times['a']).toHaveLength(3);
  });

  test('a ratio is taken within a turn', () => {
    expect(ratios([10, 40], [5, 10])).toEqual([2, 4]);
  });
});

describe('the report', () => {
  const run = (label: string, table: Table): BenchRun => {
    return { label, date: '2026-01-02', cpu: 'c', node: 'n', v8: 'v', packages: { p: '1' }, tables: [table] };
  };
  const table = (what: string, value: number): Table => {
    return { title: 'T', note: 'N', figures: [figure(what, 'x', [value, value, 2 * value], { atLeast: 2 })] };
  };

  test('runs stand side by side, and a target that is missed is said to be', () => {
    const text = renderRuns('Runs', [
      run('A', table('speed', 1)),
      run('B', table('speed', 3)),
      run('C', table('other', 3)),
    ]);
    expect(text).toContain(
      '| speed | x | ≥ 2 | 1.00 (1.00–2.00), **not reached** | 3.00 (3.00–6.00), reached | not measured |',
    );
    expect(text).toContain('| other | x | ≥ 2 | not measured | not measured | 3.00 (3.00–6.00), reached |');
  });

  test('what was skipped is named', () => {
    const skipped = { ...table('speed', 1), skipped: 'peer: not installed' };
    expect(renderRuns('Runs', [run('A', skipped)])).toContain('Skipped in A: peer: not installed.');
  });

  test('what could not be measured says why', () => {
    const row = missingFigure('speed', 'x', 'peer: not installed', { atLeast: 2 });
    const text = renderRuns('Runs', [run('A', { title: 'T', note: 'N', figures: [row] })]);
    expect(text).toContain('| speed | x | ≥ 2 | not measured: peer: not installed |');
    expect(isReached(row)).toBe(false);
  });

  test('NaN reaches no target', () => {
    expect(isReached(figure('speed', 'x', [Number.NaN], { atLeast: 2 }))).toBe(false);
    expect(isReached(figure('size', 'kB', [Number.NaN], { atMost: 2 }))).toBe(false);
  });

  test('numbers have three digits', () => {
    expect([0.01234, 0.98765, 9.8765, 98.765, 1234.5, 0].map(showNumber)).toEqual([
      '0.0123',
      '0.988',
      '9.88',
      '98.8',
      '1235',
      '0.00',
    ]);
  });
});

describe('the peer model', () => {
  test('numbers are varints', () => {
    expect(varintField(1, 300)).toEqual([0x08, 0xac, 0x02]); // the example of protobuf's own documentation
    expect(varintField(1, 127)).toEqual([0x08, 0x7f]);
  });

  test('holds its weights', () => {
    const w = Float32Array.of(1, 2, 3, 4, 5, 6);
    const model = Buffer.from(onnxMatMul(4, 2, 3, w));
    expect(model.includes(Buffer.from(w.buffer))).toBe(true);
    expect(model.includes('MatMul')).toBe(true);
  });
});
