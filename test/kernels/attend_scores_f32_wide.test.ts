import { testKernel } from '../support/kernel_property.ts';
import { scoresProperty } from '../support/scores_property.ts';
import { describeBuilds } from '../support/wasm_memory.ts';

describeBuilds('attend_scores_f32_wide', ({ kernels, memory }) => {
  type Kernel = typeof kernels.attendScoresF32Wide;
  const changed =
    (index: number, change: (value: number) => number): Kernel =>
    (...args) => {
      const wrong = [...args] as Parameters<Kernel>;
      wrong[index] = change(args[index]!);
      kernels.attendScoresF32Wide(...wrong);
    };

  testKernel<Kernel>({
    name: 'attendScoresF32Wide',
    kernel: kernels.attendScoresF32Wide,
    sameBits: (kernel) => scoresProperty(memory, kernel, 'f64'),
    mutants: {
      'sums in f32': kernels.attendScoresF32,
      'all heads share the first kv head': changed(6, () => 0),
      'there are no sinks': changed(9, () => 0),
      'scaled twice': changed(16, (scale) => scale * scale),
      'the last block of a run is forgotten': changed(15, (n) => n & ~15),
      'nothing is capped': changed(17, () => 0),
    },
  });
});
