import { given } from '../build.ts';
import type { Graph } from '../ir.ts';
import { readersOf, rewrite } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      attend_mix(softmax(attend_scores(q, keys, positions)), values, positions)
 * replacement  attend(q, keys, values, positions), with the scores' cap and the window of the three
 * condition    nothing else reads the scores or the probabilities; the scores' sums are in f32, as those of attend
 * numerics     exact: the same three sums in the same order
 *
 * The scores of a layer are its largest value, [nHeads, T, S]. One op computes them tile by tile, reads each tile again while it
 * is in a near cache, and needs scratch for a tile and not for a layer.
 */
export const fuseAttend: Pass = { name: 'fuse_attend', numerics: 'exact', after: ['merge_qkv', 'share_common'], apply };

function apply(graph: Graph): Graph {
  const readers = readersOf(graph);
  return rewrite(graph, (mix, _id, to) => {
    if (mix.op !== 'attend_mix') return undefined;
    const [probsId, values, positions] = mix.inputs as [number, number, number];
    const probs = graph.nodes[probsId]!;
    if (probs.op !== 'softmax') return undefined;
    const scores = graph.nodes[probs.inputs[0]!]!;
    if (scores.op !== 'attend_scores' || scores.sums !== undefined) return undefined;
    const isReadOnce = readers[probsId]!.length === 1 && readers[probs.inputs[0]!]!.length === 1;
    const [q, keys, rows] = scores.inputs as [number, number, number];
    if (!isReadOnce || probs.inputs[1] !== positions || rows !== positions) return undefined;
    const { scale, cap, window, sees } = scores; // verify: the three have one window
    return to.emit(
      { op: 'attend', scale, ...given({ cap, window, sees }) },
      mix.name,
      [q, keys, values, positions].map(to.keep),
    );
  });
}
