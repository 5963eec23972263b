import { expect, test } from 'vitest';
import { ShapeError } from '../../src/core/errors.ts';
import { createBuilder } from '../../src/graph/build.ts';
import { ropeFrequencies } from '../../src/ops/rope_table.ts';

/** A builder with the values that most ops need. */
function start() {
  const b = createBuilder();
  const ids = b.input('ids');
  const positions = b.input('positions');
  const rows = b.input('outRows');
  const table = b.weight('token_embd.weight', 'f32', [100, 64]);
  const x = b.embed('x', ids, table); // x: [T, 64]
  const heads = b.reshape('heads', x, ['T', 8, 8]); // heads: [T, 8, 8]
  const keys = b.kvWriteK(
    'keys',
    b.reshape('k', b.linear('k_flat', x, b.weight('wk', 'f32', [16, 64]), 'f32'), ['T', 2, 8]),
    0,
  );
  const rope = b.ropeTable({ frequencies: ropeFrequencies(10000, 8), magnitude: 1 });
  return { b, ids, positions, rows, table, x, heads, keys, rope };
}

type Start = ReturnType<typeof start>;

const WRONG: [what: string, build: (s: Start) => unknown, message: RegExp][] = [
  [
    'linear of another width',
    ({ b, x }) => b.linear('y', x, b.weight('w', 'f32', [8, 32]), 'f32'),
    /linear: inner size is 64 on one side and 32/,
  ],
  [
    'linear by a vector',
    ({ b, x }) => b.linear('y', x, b.weight('w', 'f32', [64]), 'f32'),
    /linear: input 1 is \[64\], needs 2 axes/,
  ],
  [
    'linear of three axes',
    ({ b, heads, table }) => b.linear('y', heads, table, 'f32'),
    /linear: input 0 is \[T, 8, 8\], needs 2 axes/,
  ],
  [
    'rms_norm of another width',
    ({ b, x }) => b.rmsNorm('y', x, b.weight('g', 'f32', [32]), 1e-5),
    /rms_norm: width is 64 on one side and 32/,
  ],
  [
    'reshape to another size',
    ({ b, x }) => b.reshape('y', x, ['T', 8, 9]),
    /reshape: \[T, 64\] and \[T, 8, 9\] have different numbers of elements/,
  ],
  ['reshape that drops T', ({ b, x }) => b.reshape('y', x, [64]), /reshape: \[T, 64\] and \[64\]/],
  ['reshape to other rows', ({ b, x }) => b.reshape('y', x, ['R', 64]), /reshape: \[T, 64\] and \[R, 64\]/],
  [
    'rope without heads',
    ({ b, x, positions, rope }) => b.rope('y', x, positions, 'pairs', rope),
    /rope: input 0 is \[T, 64\], needs 3 axes/,
  ],
  [
    'rope with other rows',
    ({ b, heads, rows, rope }) => b.rope('y', heads, rows, 'pairs', rope),
    /rope: number of rows is T on one side and R/,
  ],
  ['keys without heads', ({ b, x }) => b.kvWriteK('y', x, 0), /kv_write_k: input 0 is \[T, 64\], needs 3 axes/],
  [
    'scores of other head sizes',
    ({ b, x, keys, positions }) => b.attendScores('y', b.reshape('q', x, ['T', 4, 16]), keys, positions, 1),
    /attend_scores: head size is 16 on one side and 8/,
  ],
  [
    'heads that cannot be grouped',
    ({ b, x, keys, positions }) =>
      b.attendScores(
        'y',
        b.reshape('q', b.linear('q_flat', x, b.weight('wq', 'f32', [24, 64]), 'f32'), ['T', 3, 8]),
        keys,
        positions,
        1,
      ),
    /attend_scores: nHeads 3 is not a multiple of nKvHeads 2/,
  ],
  [
    'softmax without rows',
    ({ b, x, positions }) => b.softmax('y', x, positions),
    /softmax: input 0 is \[T, 64\], needs 3 axes/,
  ],
  [
    'mix over other positions',
    ({ b, heads, keys, positions }) => b.attendMix('y', heads, keys, positions),
    /attend_mix: number of positions is 8 on one side and S/,
  ],
  [
    'a window of nothing',
    ({ b, heads, keys, positions }) => b.attendScores('y', heads, keys, positions, 1, { window: 0 }),
    /attend_scores: window is 0, must be an integer of 1 or more/,
  ],
  [
    'a cap below 0',
    ({ b, heads, keys, positions }) => b.attendScores('y', heads, keys, positions, 1, { cap: -30 }),
    /attend_scores: cap is -30, must be a positive number/,
  ],
  ['a cap that is none', ({ b, x }) => b.softCap('y', x, Infinity), /soft_cap: cap is Infinity, must be a positive/],
  [
    'sum of different shapes',
    ({ b, x, heads }) => b.add('y', x, heads),
    /add: shapes \[T, 64\] and \[T, 8, 8\] differ/,
  ],
  [
    'product of different shapes',
    ({ b, x, heads }) => b.mul('y', heads, x),
    /mul: shapes \[T, 8, 8\] and \[T, 64\] differ/,
  ],
  [
    'rows of rows',
    ({ b, x, rows }) => b.takeRows('z', b.takeRows('y', x, rows), rows),
    /take_rows: number of rows is R on one side and T/,
  ],
  ['embed of floats', ({ b, x, table }) => b.embed('y', x, table), /embed: input 0 is \[T, 64\], needs 1 axes/],
  [
    'a block format with broken rows',
    ({ b }) => b.weight('w', 'q8_0', [8, 172]),
    /w: rows of 172 are not a multiple of 32, the block size of q8_0/,
  ],
  ['a weight with an open size', ({ b }) => b.weight('w', 'f32', ['T', 64]), /w: size T is open/],
  ['a weight of no rows', ({ b }) => b.weight('w', 'f32', [0, 64]), /w: size 0 in \[0, 64\] is not a positive integer/],
  ['a weight of half a row', ({ b }) => b.weight('w', 'f32', [1.5, 64]), /w: size 1.5 in \[1.5, 64\]/],
  [
    'a weight asked for twice in two shapes',
    ({ b }) => b.weight('token_embd.weight', 'f32', [64, 100]),
    /token_embd.weight: asked for as f32 \[64, 100\], and before as f32 \[100, 64\]/,
  ],
  [
    'a weight asked for twice in two formats',
    ({ b }) => b.weight('token_embd.weight', 'f16', [100, 64]),
    /token_embd.weight: asked for as f16/,
  ],
  ['width of an open axis', ({ b, ids }) => b.widthOf(ids), /ids: last axis T is open/],
];

test.each(WRONG)('%s is a ShapeError', (_what, build, message) => {
  const s = start();
  let thrown: unknown;
  try {
    build(s);
  } catch (e) {
    thrown = e;
  }
  expect(thrown).toBeInstanceOf(ShapeError);
  expect((thrown as Error).message).toMatch(message);
});

test('the same weight and the same feed are one node', () => {
  const { b, table, ids } = start();
  expect(b.weight('token_embd.weight', 'f32', [100, 64])).toBe(table);
  expect(b.input('ids')).toBe(ids);
});

test('shapes are those of the rules', () => {
  const { b, x, heads, keys, positions, rows, rope } = start();
  const scores = b.attendScores('scores', b.rope('q', heads, positions, 'halves', rope), keys, positions, 1);
  const probs = b.softmax('probs', scores, positions);
  const values = b.kvWriteV(
    'values',
    b.reshape('v', b.linear('v_flat', x, b.weight('wv', 'f32', [16, 64]), 'f32'), ['T', 2, 8]),
    0,
  );
  const mix = b.attendMix('mix', probs, values, positions);
  const taken = b.takeRows('taken', x, rows);
  const { nodes } = b.finish(taken, { nLayers: 1, nKvHeads: 2, headDim: 8 });
  expect([scores, probs, values, mix, taken].map((id) => nodes[id]!.shape)).toEqual([
    [8, 'T', 'S'],
    [8, 'T', 'S'],
    ['S', 2, 8],
    ['T', 8, 8],
    ['R', 64],
  ]);
});
