import { kIndex, vIndex } from '../../src/kvcache/layout.ts';
import { testKernel } from '../support/kernel_property.ts';
import { scoresProperty } from '../support/scores_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('attend_scores_f32', ({ kernels, memory }) => {
  type Kernel = typeof kernels.attendScoresF32;

  const sameBits = (kernel: Kernel, index = kIndex) => scoresProperty(memory, kernel, 'f32', index);

  /** The kernel with one argument changed. */
  const changed =
    (index: number, change: (value: number, args: readonly number[]) => number): Kernel =>
    (...args) => {
      const wrong = [...args] as Parameters<Kernel>;
      wrong[index] = change(args[index]!, args);
      kernels.attendScoresF32(...wrong);
    };

  testKernel<Kernel>({
    name: 'attendScoresF32',
    kernel: kernels.attendScoresF32,
    sameBits,
    mutants: {
      'heads lie as near as the tokens of one call': changed(2, (_stride, args) => args[10]! * args[1]!),
      'all heads share the first kv head': changed(6, () => 0),
      'there are no sinks': changed(9, () => 0),
      'windows start a block late': (...args) => {
        const [starts, nTokens] = [args[8] / 4, args[10]];
        const m = new Int32Array(memory.view().buffer);
        for (let t = 0; t < nTokens; t++) m[starts + t]! += 16;
        kernels.attendScoresF32(...args);
        for (let t = 0; t < nTokens; t++) m[starts + t]! -= 16;
      },
      'scaled twice': changed(16, (scale) => scale * scale),
      'every run starts at position 0': changed(14, () => 0),
      'the last block of a run is forgotten': changed(15, (n) => n & ~15),
      'nothing is capped': changed(17, () => 0),
      'a cap that is a little wider': changed(17, (cap) => cap * (1 + 2 ** -23)),
    },
  });

  testKernel<typeof kIndex>({
    name: 'attendScoresF32, with the keys of kIndex,',
    kernel: kIndex,
    sameBits: (index) => sameBits(kernels.attendScoresF32, index),
    mutants: { 'keys in the order of values': vIndex },
    numRuns: 20,
  });
});
