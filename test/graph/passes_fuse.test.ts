import { describe, expect, test } from 'vitest';
import { createBuilder } from '../../src/graph/build.ts';
import { fuseAttend } from '../../src/graph/passes/fuse_attend.ts';
import { changing, countOp } from './mutants.ts';
import { passSuite } from './pass_suite.ts';

passSuite(fuseAttend, {
  firedAtLeast: 0.6,
  mutants: {
    'forgets the scale': changing(fuseAttend, 'attend', () => ({ scale: 1 })),
    'queries are not turned': changing(fuseAttend, 'attend', ({ inputs }, { nodes }) => ({
      inputs: [nodes[inputs[0]!]!.inputs[0]!, ...inputs.slice(1)],
    })),
    'reads the rows of the first layer': changing(fuseAttend, 'attend', ({ inputs }, { nodes }) => ({
      inputs: [
        inputs[0]!,
        nodes.findIndex(({ op }) => op === 'kv_write_k'),
        nodes.findIndex(({ op }) => op === 'kv_write_v'),
        inputs[3]!,
      ],
    })),
  },
});

describe('what fuse_attend leaves alone', () => {
  const attendsIn = (reader: 'nothing' | 'scores' | 'probs'): number => {
    const b = createBuilder();
    const x = b.embed('x', b.input('ids'), b.weight('table', 'f32', [4, 8]));
    const heads = b.reshape('heads', x, ['T', 1, 8]);
    const keys = b.kvWriteK('keys', heads, 0);
    const values = b.kvWriteV('values', heads, 0);
    const positions = b.input('positions');
    const scores = b.attendScores('scores', heads, keys, positions, 1);
    const probs = b.softmax('probs', scores, positions);
    if (reader === 'scores') b.softmax('again', scores, positions);
    if (reader === 'probs') b.attendMix('again', probs, values, positions);
    const mix = b.reshape('flat', b.attendMix('mix', probs, values, positions), ['T', 8]);
    const graph = b.finish(b.takeRows('y', mix, b.input('outRows')), { nLayers: 1, nKvHeads: 1, headDim: 8 });
    return countOp(fuseAttend.apply(graph), 'attend');
  };
  test('it fires on plain attention', () => expect(attendsIn('nothing')).toBe(1));
  test('scores that something else reads', () => expect(attendsIn('scores')).toBe(0));
  test('probabilities that something else reads', () => expect(attendsIn('probs')).toBe(0));
});
