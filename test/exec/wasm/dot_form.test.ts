import { describe, expect, test } from 'vitest';
import { chooseDotForm, quadsAreRight } from '../../../src/exec/wasm/dot_form.ts';
import { instantiateKernels } from '../../../src/exec/wasm/instantiate.ts';
import type { DotForm, LinearQ8 } from '../../../src/exec/wasm/kernels.ts';
import { createNodeHost } from '../../../src/platform/node.ts';

const { kernels, arena } = await instantiateKernels(createNodeHost(), 'auto', ['q4_0'], undefined, () => 'pairs');
const q8 = kernels.format('q4_0').q8!;

/** On a host on whose clock a call takes so many milliseconds, and quads do `quads`. */
type Ms = number | ((clock: number) => number);
function choose(pairsMs: Ms, quadsMs: Ms, quads: LinearQ8 = q8): DotForm {
  let clock = 0;
  const takes =
    (ms: Ms, kernel: LinearQ8): LinearQ8 =>
    (...args) => {
      clock += typeof ms === 'number' ? ms : ms(clock);
      kernel(...args);
    };
  const { quantizeRowsQ8 } = kernels;
  const trial = {
    dtype: 'q4_0',
    pairs: takes(pairsMs, q8),
    quads: takes(quadsMs, quads),
    quantizeRowsQ8,
    arena,
  } as const;
  const right = quadsAreRight(trial);
  expect(right).toBe(quads === q8);
  return chooseDotForm(trial, () => clock);
}

describe('the form of products', () => {
  test('is quads where they are faster, pairs otherwise', () => {
    expect(choose(0.02, 0.01)).toBe('quads');
    expect(choose(0.01, 0.02)).toBe('pairs');
    expect(choose(0.01, 0.01)).toBe('pairs');
  });

  test('waits for a compiler that optimizes one kernel before the other', () => {
    const optimizedAt = (ms: number, before: number, after: number) => (clock: number) => (clock < ms ? before : after);
    // As on V8 14.6 without VNNI: quads first, pairs a little later.
    for (const late of [6, 12, 20]) {
      expect(choose(optimizedAt(late, 0.00079, 0.00043), optimizedAt(1, 0.00104, 0.00063))).toBe('pairs');
    }
    // With VNNI, the other way round.
    expect(choose(optimizedAt(1, 0.00079, 0.00043), optimizedAt(12, 0.00104, 0.00034))).toBe('quads');
  });

  test('is pairs where nothing can be made of the times', () => {
    // Now the one is faster, now the other.
    expect(choose((clock) => (Math.floor(clock / 5) % 2 === 0 ? 0.001 : 0.002), 0.0012)).toBe('pairs');
  });

  test('is pairs where the clock stands still', () => expect(choose(0, 0)).toBe('pairs'));

  // Each of these is a function of its own in the module, which a compiler optimizes at its own time.
  test.each([
    ['one token', 1, 0],
    ['the last panel of one token, which has no neighbour to be read beside', 1, 48],
    ['few tokens', 4, 0],
    ['what whole groups of tokens leave', 3, 0],
    ['many tokens', 12, 0],
    ['rows beyond the last whole panel', 12, 55],
  ])('is never quads that are wrong for %s, however fast', (_, nTokens, row) => {
    const wrong: LinearQ8 = (...args) => {
      q8(...args);
      if (args[3] === nTokens && row < args[1]) arena.f32(args[0], row + 1)[row]! += 1;
    };
    expect(choose(0.02, 0.001, wrong)).toBe('pairs');
  });
});
