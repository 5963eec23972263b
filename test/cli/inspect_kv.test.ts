import { describe, expect, test } from 'vitest';
import { kvText } from '../../src/cli/inspect_kv.ts';
import type { KvStats, RowStats } from '../../src/kvcache/cache.ts';
import { runCli, runJson } from './fake_io.ts';

const IDS = Array.from({ length: 40 }, (_, t) => 20 + t).join(',');
const inspect = (...flags: string[]) => ['inspect', '--ids', IDS, ...flags];

describe('inspect --kv', () => {
  test.each([
    ['contiguous', undefined],
    ['paged', { nUsed: 7, nShared: 2, nCopied: 1 }],
    ['prefix', { nUsed: 5, nShared: 2, nCopied: 1 }],
  ])('%s: a fork shares what it does not write, and a form that finds pages shares the prompt', async (form, pages) => {
    const { promptTokens, kv } = await runJson<{ promptTokens: number; kv: KvStats }>(inspect('--kv', form));
    expect(promptTokens).toBe(40);
    expect(kv).toMatchObject({ kind: form, nSequences: 3, nPositions: 122 });
    if (pages !== undefined) expect(kv.pages).toMatchObject(pages);
    if (form === 'prefix') expect(kv.prefix).toMatchObject({ nHits: 2, nFindable: 2 });
  });

  test('for people: counts, and pages drawn', async () => {
    const { exitCode, stdout } = await runCli(inspect('--kv', 'prefix', '--page-size', '16'));
    expect(exitCode).toBe(0);
    expect(stdout).toContain('prefix: a prompt of 40 tokens, a fork of it, and the same prompt again');
    expect(stdout).toContain('pages       of 16 positions: 5 used, 2 of them shared');
    expect(stdout).toContain('found       2 pages');
    expect(stdout).toMatch(/^ +0 {2}3311/m);
    expect(stdout).toMatch(/^ {2}sequence 1, 41 positions in 1 run: 0-2 \(9 rows\)$/m);
  });

  const LONG = Array.from({ length: 150 }, (_, t) => 20 + t).join(',');
  const rowsOf = async (...flags: string[]): Promise<RowStats> => {
    const { kv } = await runJson<{ kv: KvStats }>(['inspect', '--ids', LONG, ...flags]);
    return kv.rows!;
  };
  const keptOf = ({ sequences }: RowStats) =>
    sequences[0]!.kept.map(({ from, until, type }) => `${from}-${until} ${type}`);

  test('rows that are dropped or rounded are stated, with their sinks, window and bytes', async () => {
    const window = await rowsOf('--kv', 'paged', '--window', '40', '--kv-type', 'q8_0');
    expect(window).toMatchObject({ window: { size: 40, sinks: 4 }, type: 'q8_0', recent: 0 });
    expect(window.sequences[0]).toMatchObject({ length: 151, nPages: 5, nBytes: (5 * 16 * 4096 * 34) / 128 });
    expect(keptOf(window)).toEqual(['0-16 q8_0', '96-112 q8_0', '112-128 q8_0', '128-144 q8_0', '144-151 q8_0']);
    const late = await rowsOf('--kv', '--kv-type', 'q4_0', '--kv-recent', '40');
    expect(keptOf(late)).toEqual(['0-64 q4_0', '64-128 f32', '128-151 f32']);
    const evict = await rowsOf('--kv', '--kv-evict', 'importance', '--kv-budget', '60', '--sinks', '6');
    expect(evict.budget).toEqual({ most: 60, sinks: 6, newest: 22 });
    const kept = evict.sequences[0]!.kept;
    expect(kept.reduce((n, { from, until }) => n + until - from, 0)).toBe(55);
    expect(kept[0]!.from).toBe(0);
    expect(kept.at(-1)!.until).toBe(151);
    // Rounded rows of pages that are shared, and none dropped.
    expect((await rowsOf('--kv', 'prefix', '--kv-type', 'q8_0')).sequences).toMatchObject([{ nPages: 10 }, {}, {}]);
  });

  test('and drawn', async () => {
    const { stdout } = await runCli(['inspect', '--kv', 'paged', '--window', '40', '--kv-type', 'q8_0', '--ids', LONG]);
    expect(stdout).toContain('rows        a window of 40 behind 4 sinks; q8_0 when written\n');
    expect(stdout).toMatch(/sequence 0, 151 positions in \d runs: 0 dropped x5 .*\(7 rows\)$/m);
    expect(stdout).toContain(
      [
        '  sequence 0, 151 positions: 71 kept in 5 pages, 87.0 kB',
        `      0  ssss${'-'.repeat(12)}${'.'.repeat(48)}`,
        `     64  ${'.'.repeat(32)}${'-'.repeat(16)}${'8'.repeat(16)}`,
        `    128  ${'8'.repeat(23)}`,
      ].join('\n'),
    );
  });

  test('without a form it is paged, and a text is a prompt', async () => {
    const { kv } = await runJson<{ kv: KvStats }>(['inspect', '--kv', '--prompt', 'Once there was']);
    expect(kv.kind).toBe('paged');
  });

  test.each([
    [['--kv', 'heap'], 'Allowed choices are contiguous, paged, prefix, tiered'],
    [['--kv', 'paged', '--page-size', '8'], 'page-size is 8, must be a multiple of 16'],
    [['--kv', '--graph'], 'in a run of its own'],
    [['--prompt', 'x'], '--prompt and --ids go with --kv'],
  ])('%j is wrong usage', async (flags, message) => {
    const { exitCode, stdout, stderr } = await runCli(['inspect', ...flags]);
    expect(stderr).toContain(message);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  });
});

test('pages in the file, apart from each other, and of many sequences are drawn', () => {
  const text = kvText(
    {
      kind: 'tiered',
      nSequences: 1,
      nPositions: 96,
      nBytes: 1000,
      pages: {
        size: 16,
        nUsed: 3,
        nShared: 3,
        nFree: 1,
        nKept: 0,
        nMost: Infinity,
        nCopied: 0,
        tables: [
          { sequence: 7, length: 96, pages: [-1, -1, 0, 1, 3, -1], nRuns: 2 },
          ...Array.from({ length: 10 }, (_, sequence) => ({ sequence, length: 16, pages: [3], nRuns: 1 })),
        ],
      },
    },
    5,
  );
  expect(text).toContain('      0  11.+\n');
  expect(text).toContain('sequence 7, 96 positions in 2 runs: file x2 0-1 3 file x1\n');
  expect(text).toContain('no limit');
});
