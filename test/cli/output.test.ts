import fc from 'fast-check';
import { describe, expect, test, vi } from 'vitest';
import { collectPieces } from '../../src/cli/collect_pieces.ts';
import { figuresLine } from '../../src/cli/figures.ts';
import {
  plural,
  printable,
  printableText,
  showBytes,
  showCount,
  showMs,
  showRate,
  table,
} from '../../src/cli/format.ts';
import { INTERRUPTED } from '../../src/cli/io.ts';
import { writeJson } from '../../src/cli/json.ts';
import { createProgress, noteIfSlow } from '../../src/cli/progress.ts';
import { styleOf } from '../../src/cli/style.ts';
import type { Piece, Summary } from '../../src/engine/generate.ts';
import type { ModelInfo } from '../../src/engine/model.ts';
import { createFakeIo } from './fake_io.ts';

describe('text for a terminal', () => {
  const text = fc.string({ unit: 'binary' });

  test('names never hold a character that controls, reorders or breaks a line', () => {
    fc.assert(fc.property(text, (s) => !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.test(printable(s))));
    expect(printable('a\n\r\tb\x1b\x9b\u202e\u{e0001}\ud800')).toBe(
      'a\\n\\r\\tb\\x1b\\x9b\\u{202e}\\u{e0001}\\u{d800}',
    );
    expect(printable('plain Ünïcode 😀')).toBe('plain Ünïcode 😀');
  });

  test('generated text keeps its lines and tabs', () => {
    fc.assert(fc.property(text, (s) => !/[^\P{Cc}\n\t]/u.test(printableText(s))));
    expect(printableText('a\n\tb\x1b[2J\r\x7f')).toBe('a\n\tb\\x1b[2J\\r\\x7f');
    expect(printableText('👩‍🚀')).toBe('👩‍🚀'); // joined by a format character
  });
});

test('JSON is one printable line, and reads back as what it was', () => {
  const printed = (value: unknown): string => {
    const io = createFakeIo();
    writeJson(io.stdout, value);
    return io.written.stdout;
  };
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), fc.string({ unit: 'binary' }), (value, s) => {
      const line = printed([value, s]);
      expect(line).not.toMatch(/[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/u);
      expect(JSON.parse(line)).toEqual(JSON.parse(JSON.stringify([value, s])));
    }),
  );
  expect(printed('\x7f\x85\u202e\u2028\u{e0001}')).toBe('"\\u007f\\u0085\\u202e\\u2028\\udb40\\udc01"\n');
  expect(printed({ a: NaN, b: -Infinity, c: 2n ** 60n, d: Float32Array.of(1, 2), e: new Map([['k', 1]]) })).toBe(
    '{"a":"NaN","b":"-Infinity","c":"1152921504606846976","d":[1,2],"e":{"k":1}}\n',
  );
});

describe('numbers for people', () => {
  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [9994, '9.99 kB'],
    [9995, '10.0 kB'],
    [99_949, '99.9 kB'],
    [999_499, '999 kB'],
    [999_500, '1.00 MB'],
    [3_659_808, '3.66 MB'],
    [2 ** 32, '4.29 GB'],
    [5e15, '5000 TB'],
  ])('%d bytes are %s', (n, shown) => expect(showBytes(n)).toBe(shown));

  test('counts, rates, times, plurals', () => {
    expect([0, 999, 1000, 1234567].map(showCount)).toEqual(['0', '999', '1,000', '1,234,567']);
    expect([showRate(10, 100), showRate(0, 100), showRate(5, 0)]).toEqual(['100 tokens/s', '-', '-']);
    expect([showMs(0.4), showMs(83), showMs(1200)]).toEqual(['0.40 ms', '83.0 ms', '1.20 s']);
    expect([plural(1, 'tensor'), plural(0, 'tensor'), plural(1200, 'tensor')]).toEqual([
      ...['1 tensor', '0 tensors', '1,200 tensors'],
    ]);
  });

  test('the rate of a prompt is not told when it was interrupted within', () => {
    const info = { weightBytes: 0, cacheBytes: 0, kernels: 'k' } as ModelInfo;
    const line = (genTokens: number) =>
      figuresLine(info, { promptTokens: 400, promptMs: 1000, genTokens, genMs: 100 * genTokens }, null, null);
    expect(line(1)).toMatch(/^400 prompt tokens at 400 tokens\/s, 1 token generated at 10\.0 tokens\/s/);
    expect(line(0)).toMatch(/^400 prompt tokens at -, 0 tokens generated at -/);
  });

  test('a table has straight columns and no blanks at the end', () => {
    expect(
      table(
        [
          ['a', '1', 'x'],
          ['bbb', '22', ''],
        ],
        [1],
      ),
    ).toBe('a     1  x\nbbb  22\n');
    expect(table([])).toBe('');
  });
});

describe('colours', () => {
  test('on a terminal only, and not with NO_COLOR or a dumb one', () => {
    const red = (isStdoutTerminal: boolean, env: Record<string, string>): string => {
      const io = createFakeIo({ isStdoutTerminal, env });
      return styleOf(io.stdout, io.env).red('x');
    };
    expect(red(true, {})).toBe('\x1b[31mx\x1b[0m');
    expect(red(true, { NO_COLOR: '' })).toBe('\x1b[31mx\x1b[0m'); // the convention: present and not empty
    expect(red(true, { NO_COLOR: '1' })).toBe('x');
    expect(red(true, { TERM: 'dumb' })).toBe('x');
    expect(red(false, {})).toBe('x');
  });
});

describe('progress', () => {
  const MB = 1e6;
  const NEED = { weightBytes: 2e8, cacheBytes: 1e8, scratchBytes: 1e7, totalBytes: 3.1e8, maxSeq: 2048 };
  /** Reads in ten steps of `stepMs` on a clock of its own. */
  const shown = (totalBytes: number, stepMs: number, isStderrTerminal = true): string => {
    let at = 0;
    const io = createFakeIo({ isStderrTerminal, now: () => at });
    const progress = createProgress(io);
    at += stepMs;
    progress.onMemoryNeed(NEED);
    for (let i = 1; i <= 10; i++) {
      at += stepMs;
      progress.onProgress({ doneBytes: (i * totalBytes) / 10, totalBytes, what: 'blk.0' });
    }
    progress.done();
    progress.done();
    return io.written.stderr;
  };

  test('a bar with speed and memory, once a second has passed', () => {
    const slow = shown(200 * MB, 200);
    expect(slow.match(/reading weights/g)).toHaveLength(6); // from 1200 ms on
    expect(slow).toContain('reading weights [#####.....]  50%  100 MB of 200 MB, 100 MB/s, needs 310 MB\r');
  });

  test('no bar for what is read within a second, nor where stderr is no terminal', () => {
    expect(shown(2000 * MB, 60)).toBe('');
    expect(shown(200 * MB, 500, false)).toBe('');
  });

  test('it is not drawn more often than it can be seen, never wraps, and is taken away', () => {
    let at = 0;
    const io = createFakeIo({ isStderrTerminal: true, now: () => at });
    const progress = createProgress(io);
    for (let i = 1; i <= 110; i++) {
      at += 10;
      progress.onProgress({ doneBytes: 1e11 + i, totalBytes: 2e11, what: 'blk.0' });
    }
    progress.done();
    const lines = io.written.stderr.split('\r\x1b[K');
    expect(lines.filter((line) => line !== '')).toHaveLength(2);
    expect(io.written.stderr.endsWith('\r\x1b[K')).toBe(true);
    for (const line of lines) expect(line.length).toBeLessThan(80);
  });

  test('a note is shown after a second of waiting, and taken away', () => {
    vi.useFakeTimers();
    try {
      const io = createFakeIo({ isStderrTerminal: true });
      const done = noteIfSlow(io, 'reading the prompt');
      vi.advanceTimersByTime(999);
      expect(io.written.stderr).toBe('');
      vi.advanceTimersByTime(1);
      expect(io.written.stderr).toBe('\r\x1b[Kreading the prompt');
      done();
      done();
      expect(io.written.stderr).toBe('\r\x1b[Kreading the prompt\r\x1b[K');

      noteIfSlow(io, 'over in time')();
      noteIfSlow(createFakeIo(), 'no terminal');
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('collectPieces', () => {
  const piece = (id: number, text: string): Piece => ({ id, text, logprob: -1, top: [] });
  const summary: Summary = { finishReason: 'eos', promptTokens: 2, promptMs: 5, genTokens: 2, genMs: 7 };
  async function* generation(failure?: unknown): AsyncGenerator<Piece, Summary, void> {
    yield piece(5, 'a');
    yield piece(6, '');
    if (failure !== undefined) throw failure;
    yield piece(7, 'b');
    return summary;
  }

  test('follows a generation to its end', async () => {
    const texts: string[] = [];
    const result = await collectPieces(generation(), 2, (text) => texts.push(text));
    const { finishReason, ...timings } = summary;
    expect(result).toMatchObject({ text: 'ab', finishReason, timings });
    expect(result.pieces.map(({ id }) => id)).toEqual([5, 6, 7]);
    expect(texts).toEqual(['a', 'b']);
  });

  test('an interruption is an end, with times of its own', async () => {
    const result = await collectPieces(generation(INTERRUPTED), 2, () => {});
    expect(result).toMatchObject({
      text: 'a',
      finishReason: 'interrupted',
      timings: { promptTokens: 2, genTokens: 2 },
    });
    for (const ms of [result.timings.promptMs, result.timings.genMs]) expect(ms).toBeGreaterThanOrEqual(0);
  });

  test('another failure is one', async () => {
    const failure = new Error('x');
    await expect(collectPieces(generation(failure), 2, () => {})).rejects.toBe(failure);
  });
});
